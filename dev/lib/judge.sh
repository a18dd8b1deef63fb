#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Judge a run of selftests: dev/lib/judge.sh OUTPUT DMESG.  Counts the cases, the
# exit statuses of the scripts, and any report of the kernel's own checks.
# Prints what failed, then "N passed, N failed"; exits with 1 if any did.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"

output=$1 dmesg=$2
if [ ! -s "$output" ] || [ ! -s "$dmesg" ]; then
	die "nothing to judge in $output and $dmesg"
fi

passed=$(grep -c '^TEST: .* \.\.\. ok$' "$output" || true)
bad=$(
	grep '^TEST: ' "$output" | grep -v ' \.\.\. ok$' | sed 's/^/case failed: /'
	grep -E '^# .*\.sh: exit status [^0]' "$output" | sed 's/^# /script failed: /'
	# A script that ran no case has tested nothing.
	awk '/^# .*\.sh$/ { script = $2; cases = 0 } /^TEST: / { cases++ }
	     /exit status/ && !cases { print "no case ran: " script }' "$output"
	# What was not run has not passed.
	grep '^SKIP' "$output" | sed 's/^/not run: /'
	grep '^# kmemleak: ' "$output" | sed 's/^# /leak: /'
	# What lockdep, RCU, the hung task detector, and the like, have to say.
	# A duplicate shadow variable is what one of the cases provokes.
	grep -aE 'BUG:|WARNING:|INFO:|Oops|Call Trace:|kernel BUG|kmemleak: [1-9]|rcu: .*(stall|detected)' "$dmesg" |
		sed 's/^/kernel: /'
	:
)
failed=0
if [ -n "$bad" ]; then
	failed=$(wc -l <<<"$bad")
	printf '%s\n' "$bad"
	echo "the kernel's log: $dmesg"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
