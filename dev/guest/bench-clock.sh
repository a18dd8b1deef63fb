#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measure these selftests with a real clock, for make bench, inside virtual machines with each
# core that run at the same time.  Writes lines as tools/testing/livepatch/bench/measure.sh
# does, in nanoseconds:
#
#	figure selftests - CASES - VALUE
#
#   dev/guest/bench-clock.sh SCRIPT...

cd "$KBUILD/selftests/livepatch" || exit 1
# Upstream's functions.sh takes the build directory from this variable.
export KDIR=$KBUILD
output=$SHARE/output-of

fail() {
	echo "FAILED: $*"
	cat "$output"
	exit 1
}

# passed COMMAND...: run it, and set time to the hundredths of a second that it took.
passed() {
	local begin end
	read -r begin _ </proc/uptime
	"$@" >"$output" 2>&1 || fail "$*"
	read -r end _ </proc/uptime
	time=$((10#${end/./} - 10#${begin/./}))
}

all=0 cases=0
for script in "$@"; do
	passed "./$script"
	! grep -q '^TEST: .*not ok$\|^SKIP' "$output" || fail "$script"
	echo "$script: $((time / 100)).$((time / 10 % 10)) s"
	all=$((all + time))
	cases=$((cases + $(grep -c '^TEST: .* ok$' "$output")))
done
echo "figure selftests - $cases - ${all}0000000"

echo "measured"
