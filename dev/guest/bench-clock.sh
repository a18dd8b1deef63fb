#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measure with a real clock, for make bench, inside virtual machines with each core that
# run at the same time: these selftests, and klpctl why among 10 000 tasks.  Writes
# lines as tools/testing/livepatch/bench/measure.sh does, in nanoseconds:
#
#	figure selftests - CASES - VALUE
#	figure why - WAITING TASKS VALUE
#
#   dev/guest/bench-clock.sh SCRIPT...

cd "$KBUILD/selftests/livepatch" || exit 1
# Upstream's functions.sh takes the build directory from this variable.
export KDIR=$KBUILD
output=$SHARE/output-of
tasks=10000

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

# reported FILE: print how many waiting kernel threads the output of klpctl why reports.
# It has one line for all threads that wait in the same way.
reported() {
	awk '/, kernel threads?, / {
		count++
		if (match($0, /and [0-9]+ more/))
			count += substr($0, RSTART + length("and "))
	}
	END { print count + 0 }' "$1"
}

# why WAITING PARAMETER...: measure klpctl why among kernel threads, with a transition that
# waits for WAITING of them.
why() {
	local waiting=$1 attempt best=
	echo "klpctl why, $waiting of $tasks tasks"
	insmod test_modules/test_klp_sleep_target.ko "${@:2}" || fail "loading the target"
	insmod test_modules/test_klp_sleep_patch.ko || fail "loading the livepatch"
	# Threads outside of the function switch at once.  Wait until only the others are left.
	until grep -qx 1 /sys/kernel/livepatch/test_klp_sleep_patch/transition &&
		[ "$(grep -lx 0 /proc/[0-9]*/patch_state | wc -l)" = "$waiting" ]; do
		sleep 1
	done
	for attempt in 1 2 3; do
		# The exit status 3 means that a patch is in transition.
		passed eval './klpctl why || [ $? = 3 ]'
		[ "$(reported "$output")" = "$waiting" ] ||
			fail "klpctl why does not report $waiting tasks, attempt $attempt"
		[ -n "$best" ] && [ "$time" -ge "$best" ] || best=$time
	done
	echo "figure why - $waiting $tasks ${best}0000000"
	echo 0 >/sys/kernel/livepatch/test_klp_sleep_patch/enabled
	until rmmod test_klp_sleep_patch 2>/dev/null; do
		sleep 1
	done
	rmmod test_klp_sleep_target || fail "unloading the target"
}
why 1 "inside=1" "elsewhere=$((tasks - 1))"
why $tasks "inside=$tasks"
echo "measured"
