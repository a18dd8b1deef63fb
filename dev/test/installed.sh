#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Install the selftests as a CI system does, and run some of them on a machine without the
# source and without the build directory.  Each script is one test, and any report of the
# kernel is a failure.  The last line is "N passed, N failed".
#
#   dev/test/installed.sh     TESTS='test-sysfs.sh ...'

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"

native_only
# Run one of upstream's scripts, and one that needs more than its modules.
read -ra tests <<<"${TESTS:-test-sysfs.sh test-samples.sh}"

out=$("$repo/dev/kernel.sh")
tree=$(tree_dir)
set_kmake
installed=$out/installed
selftests=tools/testing/selftests/livepatch

# The makefile builds the modules in the directory of their source.  So use a copy, to
# keep build results out of the tree.
install_all() {
	local source=$installed/source
	rm -rf "$installed"
	mkdir -p "$source"
	(cd "$tree" && rsync -a --relative tools/{build,include,livepatch,scripts} \
		tools/testing/selftests/{Makefile,*.h,lib.mk,run_kselftest.sh,kselftest,livepatch} scripts/{subarch.include,Makefile.*} "$source/")
	"${kmake[@]}" -C "$source/tools/testing/selftests" TARGETS=livepatch O="$out" KDIR="$out" \
		KSFT_INSTALL_PATH="$installed/selftests" install
	"${kmake[@]}" -C "$tree" O="$out" INSTALL_MOD_PATH="$installed/root" INSTALL_MOD_STRIP=1 modules_install
	# That machine has not the build directory, to which a link leads.
	rm -r "$source" "$installed"/root/lib/modules/*/build
}
run_logged "installing the selftests" "$out/log/installed" install_all

DMESG=$installed/dmesg guest installed.sh "${tests[@]}" >"$installed/output" || true
cat "$installed/output"

# check NAME COMMAND...: one test.
check() {
	local result="not ok"
	! "${@:2}" || result=ok
	echo "TEST: installed: $1 ... $result"
}

# has_lines SCRIPT: whether the script has a case, and each case has a line of KTAP.
has_lines() {
	awk -v script="$1" '
		/^# selftests: livepatch: / { inside = $NF == script }
		inside && /^# TEST: .* ok$/ { cases++ }
		inside && /^# ok [0-9]+ / { lines++ }
		END { exit !cases || lines != cases }' "$installed/output"
}

{
	echo "# installed.sh"
	for test in "${tests[@]}"; do
		check "$test" grep -qE "^ok [0-9]+ selftests: livepatch: $test$" "$installed/output"
		# Upstream's scripts do not print these lines.
		[ ! -e "$repo/$selftests/$test" ] ||
			check "$test: a line for each case" has_lines "$test"
	done
	# test-klpctl.sh, which takes ten minutes, needs this program beside it.
	check "klpctl" grep -qx 'livepatch: none' "$installed/output"
	echo "# installed.sh: exit status 0"
} | tee "$installed/verdict"
judge_run "$installed/verdict" "$installed/dmesg"
totals
