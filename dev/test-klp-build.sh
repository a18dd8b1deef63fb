#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Let upstream's scripts/livepatch/klp-build, unmodified, turn the source patches in
# dev/klp-build/ into one livepatch for the kernel that CORE and DEBUG select, and use
# that livepatch in this kernel.  Then dev/test/livepatch.sh makes livepatches as a user
# does.  Each check is one test; the last line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
native_only

# shellcheck source=dev/lib/klp-build.sh
. "$repo/dev/lib/klp-build.sh"
module=$klp_work/klp-build-test.ko
output=$klp_work/output
klp_prepare
if ! klp_build "$module" "$repo"/dev/klp-build/*.patch; then
	echo "not ok: klp-build makes a livepatch of source patches"
	count 0 1
	totals || exit 1
fi

# check NAME COMMAND...: one test.
check() {
	local name=$1
	shift
	if "$@"; then
		echo "TEST: $name ... ok"
	else
		echo "TEST: $name ... not ok"
	fi
}
readelf -SW "$module" >"$klp_work/sections"
readelf -sW "$module" >"$klp_work/symbols"
{
	echo "# klp-build.sh"
	check "klp-build makes a livepatch of source patches" test -s "$module"
	# Without relocations, the checks in the machine would prove nothing.
	for object in vmlinux kobject_example; do
		check "the livepatch has relocations for $object" grep -q " \.klp\.rela\.$object\." "$klp_work/sections"
	done
	for symbol in vmlinux.saved_command_line,0 vmlinux.saved_command_line_len,0 vmlinux.num_to_str,0 \
		'vmlinux.dev_attr_type,[2-9]' kobject_example.foo,0 kobject_example.baz,0; do
		check "the livepatch refers to $symbol" grep -q " \.klp\.sym\.${symbol//./\\.}$" "$klp_work/symbols"
	done
	echo "# klp-build.sh: exit status 0"
	DMESG=$klp_work/dmesg guest test-klp-build.sh "$module"
} 2>&1 | tee "$output"
judge_run "$output" "$klp_work/dmesg"
# Each of its builds waits for its turn.
exec 9>&-
"$repo/dev/test/livepatch.sh" >"$klp_work/livepatch" || true
count_suite "$klp_work/livepatch" || count 0 1
grep -v ' passed, ' "$klp_work/livepatch" || true
keep_run "make test-klp-build$(unusual CORE=rust DEBUG=1 FIXES=0)"
totals
