#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Judge a run of tests in the virtual machine: dev/lib/judge.sh OUTPUT DMESG.  OUTPUT
# is in the notation of upstream's selftests: a script prints "TEST: NAME ... ok" for
# each case; a line "# NAME.sh" comes before it, and "# NAME.sh: exit status N" after.
# A report of the kernel's own checks in DMESG is a failure, too.  Prints the
# failures, then "N passed, N failed".
#
# A case that is skipped has a line "ok N NAME # SKIP REASON", and a script has "SKIP: REASON".
# Both are failures, unless the reason matches MAY_SKIP, an extended regular expression: a
# machine may lack what the case needs.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"

output=$1 dmesg=$2
if [ ! -s "$output" ] || [ ! -s "$dmesg" ]; then
	die "nothing to judge in $output and $dmesg"
fi

# This report of the unwinder is no error of live patching: functions-torture.sh has the reason.
# A fix prevents it.
noise='stack going in the wrong direction? at return_to_handler+'
[ "$FIXES" = 0 ] || noise=' no report '

count "$(grep -c '^TEST: .* \.\.\. ok$' "$output")" 0
verdict=$(
	grep '^TEST: ' "$output" | grep -v ' \.\.\. ok$' | sed 's/^/case failed: /'
	# A script without a case has tested nothing.  The status of one that is skipped is 4.
	# One without a status has ended with its machine.
	awk -v may="${MAY_SKIP:-}" '
		function unended() {
			if (runs)
				print "script not ended: " script
		}
		/^# .*\.sh$/ { unended(); script = $2; runs = 1; cases = skipped = 0 }
		/^TEST: / { cases++ }
		/^SKIP/ || /^ok [0-9]+ .* # SKIP( |$)/ {
			reason = $0
			sub(/^SKIP:* *|^ok .* # SKIP */, "", reason)
			sub(/^ok [0-9]+ /, "")
			if (may == "" || reason !~ may) {
				print "not run: " $0
				next
			}
			skipped = 1
			sub(/^SKIP:* */, "")
			sub(/ # SKIP /, ": ")
			print "skipped: " $0
		}
		/^# .*\.sh: exit status / {
			runs = 0
			if (skipped && !cases && $NF == 4)
				next
			if ($NF != 0)
				print "script failed: " substr($0, 3)
			if (!cases)
				print "no case ran: " script
		}
		END { unended() }' "$output"
	grep '^# kmemleak: ' "$output" | sed 's/^# /leak: /'
	# Reports of lockdep, RCU, the hung task detector, and the like.  arm64 prints "Call trace:".
	grep -avF -e "$noise" "$dmesg" |
		grep -aE 'BUG:|WARNING:|INFO:|Oops|Call [Tt]race:|kernel BUG|rcu: .*(stall|detected)' |
		sed 's/^/kernel: /'
	:
)
grep '^skipped: ' <<<"$verdict" || true
bad=$(grep -v '^skipped: ' <<<"$verdict") || true
if [ -n "$bad" ]; then
	count 0 "$(wc -l <<<"$bad")"
	printf '%s\n' "$bad"
	echo "the kernel's log: $dmesg"
fi
totals
