#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Show that livepatches which upstream's klp-build makes of source patches change the
# behaviour of the kernel that CORE and DEBUG select.  dev/klp-build/fixes/ has a bug and
# its fix, for each of ten subsystems.  For each, one livepatch brings the bug in, and one with
# both patches replaces that.  Where there is a fix.rs, a livepatch in Rust fixes the bug,
# too.  All are used in one boot of the machine.  Each check is one test; the last line is
# "N passed, N failed".
#
#   dev/test-livepatches.sh    TESTS='eventfd-id ...', by default all

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
# shellcheck source=dev/lib/patches.sh
. "$repo/dev/lib/patches.sh"
native_only

fixes=$repo/dev/klp-build/fixes
read -ra names <<<"${TESTS:-$(cd "$fixes" && echo *)}"
for name in "${names[@]}"; do
	for file in bug.patch fix.patch show expected; do
		[ -f "$fixes/$name/$file" ] ||
			die "TESTS names $name, and $fixes/$name/$file is not there" "there are: $(cd "$fixes" && echo *)"
	done
done

# shellcheck source=dev/lib/klp-build.sh
. "$repo/dev/lib/klp-build.sh"
klp_prepare
modules=$klp_work/fixes
output=$klp_work/output
mkdir -p "$modules"
rm -f "$modules"/*.ko

# make_livepatch NAME WHAT PATCH...: make the livepatch NAME; one test.
make_livepatch() {
	local module=$modules/$1.ko scratch=$klp_work/patched patch said result=ok
	rm -rf "$scratch"
	for patch in "${@:3}"; do
		said=$(apply_patch "$scratch" "$patch") || {
			echo "$said"
			result="not ok"
		}
	done
	joined_patch "$scratch" >"$klp_work/$1.patch"
	klp_build "$module" "$klp_work/$1.patch" && [ -s "$module" ] || result="not ok"
	echo "TEST: $2 ... $result"
}

# compile_livepatch NAME: make the livepatch NAME-rust of fix.rs, against the build
# directory of the kernel; one test.
compile_livepatch() {
	local module=${1//-/_}_rust directory=$klp_work/$1-rust result=ok
	rm -rf "$directory"
	mkdir "$directory"
	cp "$fixes/$1/fix.rs" "$directory/$module.rs"
	echo "obj-m := $module.o" >"$directory/Kbuild"
	(run_logged "compiling $module" "$klp_work/log/$module" "${kmake[@]}" -C "$kernel_out" M="$directory" modules) &&
		cp "$directory/$module.ko" "$modules/$1-rust.ko" || result="not ok"
	echo "TEST: $1: rustc makes a livepatch of the fix ... $result"
}

{
	echo "# livepatches.sh"
	for name in "${names[@]}"; do
		bug=$fixes/$name/bug.patch fix=$fixes/$name/fix.patch
		make_livepatch "$name-bug" "$name: klp-build makes a livepatch of the bug" "$bug"
		make_livepatch "$name-fix" "$name: klp-build makes a livepatch of the bug and the fix" "$bug" "$fix"
		[ ! -f "$fixes/$name/fix.rs" ] || compile_livepatch "$name"
	done
	echo "# livepatches.sh: exit status 0"
	DMESG=$klp_work/dmesg guest test-livepatches.sh "$modules" "${names[@]}"
} | tee "$output"
judge_run "$output" "$klp_work/dmesg"
[ -n "${TESTS:-}" ] || keep_run "make test-livepatches$(unusual CORE=rust DEBUG=1 FIXES=0)"
totals
