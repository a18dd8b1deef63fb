#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build one kernel after the other, with other compilers and configurations, and run the
# KUnit tests and the selftests in each.  The script keeps the results in series/matrix,
# one row for each kernel, with the commit and the day.  README.md and the cover letter
# show them.
#
#   dev/matrix.sh            MATRIX='clang-kasan preempt', by default all;
#                            TESTS='test-livepatch.sh ...', by default all but test-oom.sh;
#                            LEAKS=1 with kmemleak
#   dev/matrix.sh --list     print the names of the kernels
#
# dev/config/matrix/NAME.config describes a kernel: its first line is a title, its second
# line has variables of make kernel and make vm, if any, and the rest are options.
# DISTRIBUTION=name there takes all other options from a kernel of the distribution.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/matrix.sh
. "$repo/dev/lib/matrix.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"

if [ -n "${MATRIX:-}" ]; then
	read -ra names <<<"$MATRIX"
else
	mapfile -t names < <(all_kernels)
fi
check_kernels "${names[@]}"
case ${1:-} in
'') ;;
--list)
	printf '%s\n' "${names[@]}"
	exit
	;;
*) die "$1: not understood" "dev/matrix.sh [--list]" ;;
esac

# test_kernel NAME: print the suites' output, with "N passed, N failed" at the end.
test_kernel() {
	local name=$1 out
	# kmemleak takes half of the time, and finds the same leaks on each kernel.
	export LEAVE_OUT=${LEAVE_OUT:-test-oom.sh} LEAKS=${LEAKS:-0}
	select_kernel "$name" || return 1
	# Upstream's own suites are not the subject, and not all fit each kernel.
	export APPEND="${APPEND:-} kunit.filter_glob=rust_livepatch*"
	out=$("$repo/dev/kernel.sh") || return 1
	TESTS=${TESTS:-} "$repo/dev/selftest.sh" >"$work/$name.selftests" 2>&1 || true
	cat "$work/$name.selftests"
	# The kernel has run the KUnit tests while it booted.
	"$(tree_dir)/tools/testing/kunit/kunit.py" parse "$out/selftests/results/dmesg-1-1" >"$work/$name.kunit" || true
	sed 's/\x1b\[[0-9;]*m//g' "$work/$name.kunit" >"$work/$name.kunit.plain"
	grep -E '\[(PASSED|FAILED|CRASHED)\]|Testing complete' "$work/$name.kunit.plain" || true
	count_suite "$work/$name.selftests" || count 0 1
	grep -q 'rust_livepatch_live' "$work/$name.kunit.plain" || count 0 1
	count_kunit "$work/$name.kunit.plain"
	# Modules that were built for one core must load with the other one.
	if grep -qx CONFIG_MODVERSIONS=y "$out/.config"; then
		"$repo/dev/test/crcs.sh" >"$work/$name.crcs" 2>&1 || true
		cat "$work/$name.crcs"
		count_suite "$work/$name.crcs" || count 0 1
	fi
	totals
}

work=$(work_dir)/matrix
mkdir -p "$work"
bad=0
for name in "${names[@]}"; do
	begin=$SECONDS
	say "== $name: $(title "$name") (log: $work/$name)"
	if (test_kernel "$name") >"$work/$name" 2>&1; then
		result=$(tail -n 1 "$work/$name")
	elif result=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/$name" | tail -n 1) && [ -n "$result" ]; then
		bad=$((bad + 1))
	else
		result="does not build"
		bad=$((bad + 1))
	fi
	skipped=$(grep -c '^skipped: ' "$work/$name") || true
	[ "$skipped" = 0 ] || result+=", $skipped skipped"
	[[ "$result" != *" 0 failed"* ]] || result+=" in $(((SECONDS - begin) / 60)) min"
	# A part of the selftests says too little for the table.
	[ -n "${TESTS:-}" ] || keep "$repo/series/matrix" "$name" "$(title "$name")|$result"
	say "$name: $result"
done
count $((${#names[@]} - bad)) "$bad"
totals
