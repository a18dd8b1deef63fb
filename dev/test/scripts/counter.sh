# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # scripts.sh, and the parts before this one, set them
#
# A part of dev/test/scripts.sh: the counter, and the notations that it reads; the tests in Python.

# The counter, and the notations that it reads.
counted() {
	(
		# shellcheck disable=SC2034 # lib.sh counts in them
		passed=0 failed=0
		printf '%s\n' "${@:2}" >"$scratch/counted"
		"$1" "$scratch/counted" || exit 2
		totals
	)
}
expect "counter: a suite" 0 "3 passed, 0 failed" counted count_suite "1 passed, 0 failed" "3 passed, 0 failed" "[0:01] done"
expect "counter: a suite with a failure" 1 "3 passed, 1 failed" counted count_suite "3 passed, 1 failed"
expect "counter: a suite in which nothing passed" 1 "0 passed, 0 failed" counted count_suite "0 passed, 0 failed"
expect "counter: a suite that ended early" 2 "" counted count_suite "ok: 3 passed, 0 failed, or so"
expect "counter: cargo" 1 "7 passed, 2 failed" counted count_cargo \
	"test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s" \
	"test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s"
# A test program of which one test passes, one dies, and one is ignored.
cat >"$scratch/program" <<'end'
#!/bin/bash
case "$*" in
*--list*) printf '%s: test\n' passes dies ignored ;;
*passes) printf '%s\n' "more output" "12 histories compared" "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured" ;;
*dies) echo "the reason" && exit 101 ;;
*ignored) echo "test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured" ;;
esac
end
chmod +x "$scratch/program"
expect "each test: the totals" 1 "test result: FAILED. 1 passed; 1 failed; 1 ignored;" "$repo/dev/lib/each-test.sh" "$scratch/program"
expect "each test: why one has failed" 1 "the reason" "$repo/dev/lib/each-test.sh" "$scratch/program"
expect "each test: how many histories one has compared" 1 "12 histories compared" "$repo/dev/lib/each-test.sh" "$scratch/program"
expect "counter: cargo, of no program" 1 "0 passed, 0 failed" counted count_cargo "error: could not compile"
expect "counter: kunit.py" 1 "70 passed, 6 failed" counted count_kunit \
	$'[12:00:00] \x1b[1;31mTesting complete. Ran 79 tests: passed: 70, failed: 1, crashed: 2, skipped: 4, errors: 3\x1b[0m'
expect "counter: kunit.py, all passed" 0 "70 passed, 0 failed" counted count_kunit \
	$'[12:00:00] \x1b[1;32mTesting complete. Ran 70 tests: passed: 70\x1b[0m'
expect "counter: unittest" 0 "9 passed, 0 failed" counted count_unittest "Ran 9 tests in 0.123s" "" "OK"
expect "counter: unittest, with failures" 1 "5 passed, 3 failed" counted count_unittest \
	"Ran 9 tests in 0.123s" "" "FAILED (failures=1, errors=2, skipped=1)"
expect "counter: unittest, that ended early" 2 "" counted count_unittest "Traceback (most recent call last):"

# The unit tests of the scripts in Python.
if ! (cd "$repo/dev" && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -t . -s .) >"$scratch/unittest" 2>&1; then
	cat "$scratch/unittest"
fi
count_unittest "$scratch/unittest" || count 0 1
