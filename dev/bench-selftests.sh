#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How long these selftests take, inside the virtual machine, by its clock: what
# make bench runs on both cores at the same time.  Writes a line as
# dev/bench-guest.sh does, with the number of cases for that of functions:
#
#	figure selftests - CASES - NANOSECONDS
#
#   dev/bench-selftests.sh SCRIPT...

cd "$KBUILD/selftests/livepatch" || exit 1
output=$SHARE/selftests
for script in "$@"; do
	echo "$script"
	read -r begin _ </proc/uptime
	if ! "./$script" >"$output" 2>&1 || grep -q '^TEST: .*not ok$\|^SKIP' "$output"; then
		echo "FAILED: $script"
		cat "$output"
		exit 1
	fi
	read -r end _ </proc/uptime
	# In hundredths of a second, with a point.
	time=$((time + 10#${end/./} - 10#${begin/./}))
	cases=$((cases + $(grep -c '^TEST: .* ok$' "$output")))
done
echo "figure selftests - $cases - ${time}0000000"
echo "measured"
