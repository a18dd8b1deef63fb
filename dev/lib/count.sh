# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Count tests, for all scripts.  Every suite ends with the line "N passed, N failed",
# which totals prints.  One function for each notation reads the numbers of other
# programs.  lib.sh sources this file.

passed=0 failed=0

# count PASSED FAILED: add to the counts.
count() {
	passed=$((passed + $1)) failed=$((failed + $2))
}

# totals: print the last line of a suite.  The status is 0 if something passed and
# nothing failed.
totals() {
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}

# check NAME COMMAND...: one test, which passes if COMMAND succeeds and writes
# nothing.  The directory $checks keeps the output.
# shellcheck disable=SC2154 # lib.sh sets it, and some scripts another
check() {
	local name=$1 log=$checks/${1//[ \/]/-}
	shift
	if "$@" >"$log" 2>&1 </dev/null && [ ! -s "$log" ]; then
		count 1 0
		say "ok: $name"
	else
		count 0 1
		echo "not ok: $name"
		head -n 60 "$log"
	fi
}

# quietly COMMAND...: for check, if COMMAND writes much output: print only its end, and
# only if COMMAND fails.  The file $checks/output has all of the output.
quietly() {
	"$@" >"$checks/output" 2>&1 || {
		tail -n 60 "$checks/output"
		return 1
	}
}

# count_suite FILE: add the totals of a suite with the output FILE.  Fails if the suite
# has not printed totals.
count_suite() {
	local line
	line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$1" | tail -n 1) || return 1
	line=${line% failed}
	count "${line% passed, *}" "${line#* passed, }"
}

# sum: print the sum of the numbers on standard input, one a line.
sum() {
	awk '{ n += $1 } END { print n + 0 }'
}

# count_cargo FILE: add the totals of cargo's test programs, a line for each:
#
#	test result: ok. 62 passed; 0 failed; 1 ignored; ...
count_cargo() {
	count "$(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$1" | sum)" \
		"$(sed -n 's/^test result: .* \([0-9]*\) failed;.*/\1/p' "$1" | sum)"
}

# count_kunit FILE: add the totals of kunit.py:
#
#	[12:00:00] Testing complete. Ran 9 tests: passed: 7, failed: 1, crashed: 1
count_kunit() {
	count "$(numbers_after 'passed: ' "$1" | sum)" "$(numbers_after '(failed|crashed|errors): ' "$1" | sum)"
}
numbers_after() {
	grep -a 'Testing complete' "$2" | grep -aoE "$1[0-9]+" | grep -oE '[0-9]+$'
}

# count_unittest FILE: add the totals of Python's unittest, and fail if there are
# none.  A skipped test does not count:
#
#	Ran 9 tests in 0.123s
#	FAILED (failures=1, errors=1, skipped=1)
count_unittest() {
	local ran bad skipped
	ran=$(sed -n 's/^Ran \([0-9]*\) tests\? in .*/\1/p' "$1")
	[ -n "$ran" ] || return 1
	bad=$(tail -n 1 "$1" | grep -oE '(failures|errors|unexpected successes)=[0-9]+' | cut -d = -f 2 | sum) || true
	skipped=$(tail -n 1 "$1" | grep -oE 'skipped=[0-9]+' | cut -d = -f 2 | sum) || true
	# An error before the first test is not among those that ran.
	count $((ran - bad - skipped > 0 ? ran - bad - skipped : 0)) "$bad"
}
