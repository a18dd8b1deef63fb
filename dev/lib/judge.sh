#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Judge a run of tests in the virtual machine: dev/lib/judge.sh OUTPUT DMESG.  OUTPUT
# is in the notation of upstream's selftests: a script prints "TEST: NAME ... ok" for
# each case; a line "# NAME.sh" comes before it, and "# NAME.sh: exit status N" after.
# A report of the kernel's own checks in DMESG is a failure, too.  Prints the
# failures, then "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"

output=$1 dmesg=$2
if [ ! -s "$output" ] || [ ! -s "$dmesg" ]; then
	die "nothing to judge in $output and $dmesg"
fi

count "$(grep -c '^TEST: .* \.\.\. ok$' "$output")" 0
bad=$(
	grep '^TEST: ' "$output" | grep -v ' \.\.\. ok$' | sed 's/^/case failed: /'
	grep -E '^# .*\.sh: exit status [^0]' "$output" | sed 's/^# /script failed: /'
	# A script without a case has tested nothing.
	awk '/^# .*\.sh$/ { script = $2; cases = 0 } /^TEST: / { cases++ }
	     /exit status/ && !cases { print "no case ran: " script }' "$output"
	# A case that did not run counts as a failure.
	grep '^SKIP' "$output" | sed 's/^/not run: /'
	grep '^# kmemleak: ' "$output" | sed 's/^# /leak: /'
	# Reports of lockdep, RCU, the hung task detector, and the like.
	grep -aE 'BUG:|WARNING:|INFO:|Oops|Call Trace:|kernel BUG|kmemleak: [1-9]|rcu: .*(stall|detected)' "$dmesg" |
		sed 's/^/kernel: /'
	:
)
if [ -n "$bad" ]; then
	count 0 "$(wc -l <<<"$bad")"
	printf '%s\n' "$bad"
	echo "the kernel's log: $dmesg"
fi
totals
