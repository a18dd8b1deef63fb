#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Cargo's runner for test programs: run each test of a program in a process of its own,
# one process for each CPU at a time, and print the lines that the program itself prints.
# Of the output of a test that passes, print only a line "N histories compared".
#
#   dev/lib/each-test.sh PROGRAM [OPTION...]
#
# In one process the tests of loom share an address space.  Each unmaps the stacks of its
# tasks after each history, and each unmapping interrupts the other CPUs: in a virtual
# machine that took more time than the tests.
set -euo pipefail

program=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# one NAME OPTION...: run a test, print its line, and keep the output of one that fails.
one() {
	local name=$1 output status=0 result=ok
	shift
	output=$(RUST_TEST_THREADS=1 "$program" "$@" --exact "$name" 2>&1) || status=$?
	if [ "$status" != 0 ]; then
		result=FAILED
		printf '\n---- %s: exit status %s\n%s\n' "$name" "$status" "$output" >>"$work/failures"
	elif grep -q '^test result: ok\. 0 passed; 0 failed; 1 ignored;' <<<"$output"; then
		result=ignored
	fi
	echo "test $name ... $result" | tee -a "$work/lines"
	grep -E '^[0-9]+ histories compared$' <<<"$output" || true
}
export -f one
export program work

"$program" "$@" --list --format terse | sed -n 's/: test$//p' >"$work/names"
printf '\nrunning %s tests, each in a process of its own\n' "$(wc -l <"$work/names")"
touch "$work/lines"
xargs -r -P "$(nproc)" -I {} bash -c 'one "$@"' one {} "$@" <"$work/names"

# number RESULT: print how many tests had it.
number() {
	grep -c " \.\.\. $1\$" "$work/lines" || true
}
verdict=ok
if [ -e "$work/failures" ]; then
	verdict=FAILED
	printf '\nfailures:\n'
	cat "$work/failures"
fi
printf '\ntest result: %s. %s passed; %s failed; %s ignored; 0 measured; 0 filtered out; finished in %s.00s\n' \
	"$verdict" "$(number ok)" "$(number FAILED)" "$(number ignored)" "$SECONDS"
[ "$verdict" = ok ]
