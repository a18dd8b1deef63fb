#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make livepatches of source patches as a user does, by make livepatch, and load them: one
# of a module, and one of two patches.  Then follow Documentation/livepatch/source-patches.rst.
# The last line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
# shellcheck source=dev/lib/klp-build.sh
. "$repo/dev/lib/klp-build.sh"
native_only

fixes=$repo/dev/klp-build/fixes
output=$checks/livepatch

# Progress is no output of a test.
exec 3>&2

# make_livepatch NAME ARGUMENT...: make and load the livepatch NAME.  The effect to show is
# whether it replaces others, and what each of the fixes in $shown shows.
make_livepatch() {
	local name=${1//-/_} show fix
	show="cat /sys/kernel/livepatch/$name/replace 2>/dev/null || echo none"
	shift
	for fix in $shown; do
		show+="; bash $(printf '%q' "$fixes/$fix/show")"
	done
	env LOAD=1 SHOW="$show" "$@" "$repo/dev/livepatch.sh" >"$output" 2>&3 || { cat "$output" && return 1; }
	[ "$(modinfo -F name "$(tail -n 1 "$output")")" = "$name" ] || tail -n 1 "$output"
}

# effect WHEN REPLACE KIND: what the machine prints of it.
effect() {
	local fix
	printf '# %s\n%s\n' "$1" "$2"
	for fix in $shown; do
		sed -n "s/^$3: //p" "$fixes/$fix/expected"
	done
}

# told REPLACE: the effects in the output are those of the bugs in $shown.
told() {
	diff -u <(
		effect before none original
		effect "while it is loaded" "$1" bug
		effect after none original
	) <(awk '/^# (before|while it is loaded|after): / { sub(/: .*/, ""); shown = 1 }
		/^# klpctl/ { shown = 0 }
		shown' "$output" | sed '$d')
}

# tells KEY PATTERN: this field of the information in the module matches.
tells() {
	local value
	value=$(modinfo -F "$1" "$(tail -n 1 "$output")")
	[[ "$value" =~ ^$2$ ]] || echo "$1: $value"
}

shown=kobject-store
sed '1i CVE-2026-2345 and CVE-2026-1234, in the words of an announcement.' "$fixes/$shown/bug.patch" >"$checks/bug.patch"
check "a livepatch of a module" make_livepatch livepatch-bug PATCH="$checks/bug.patch"
check "the defects that it names" tells klp_fixes "CVE-2026-1234 CVE-2026-2345"
check "the module's build that it names" tells klp_target "kobject_example:[0-9A-F]{23,24}"
check "what that changes in the module" told 1
shown="eventfd-id rr-timeslice"
check "a livepatch of two patches, beside others" make_livepatch livepatch-both NAME=livepatch-both REPLACE=0 \
	PATCH="$fixes/eventfd-id/bug.patch $fixes/rr-timeslice/bug.patch"
check "what the two change" told 0

# The page, on the machine with the source, and on the one with the kernel.  The original
# objects are there, and the first command would build them again.
page=$checks/source-patches.rst
sed 's/klp-build -T -o/klp-build -T -S patched -o/' "$repo/Documentation/livepatch/source-patches.rst" >"$page"
cp "$fixes/eventfd-id/bug.patch" "$klp_tree/fix.patch"
cp "$fixes/rr-timeslice/bug.patch" "$klp_tree/other.patch"
set_kmake
say "following source-patches.rst"
{
	echo "# source.sh"
	status=0
	klp_run "$repo/dev/guest/page.py" "$page" . --prompt '$' --section "The livepatch" --section "Its successor" --quiet ||
		status=$?
	echo "# source.sh: exit status $status"
	DMESG=$klp_work/dmesg guest source-patches.sh "$klp_tree" "$page"
} >"$klp_work/output" 2>&1
"$repo/dev/lib/judge.sh" "$klp_work/output" "$klp_work/dmesg" >"$klp_work/verdict" || true
count_suite "$klp_work/verdict" || count 0 1
grep -v ' passed, ' "$klp_work/verdict" || true
totals
