#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measure klpctl status and klpctl why among 10 000 kernel threads, for make bench, inside a
# virtual machine with one CPU and a clock that counts instructions.  Writes lines as
# tools/testing/livepatch/bench/measure.sh does:
#
#	figure klpctl_COMMAND - WAITING TASKS VALUE
#
# Where the machine waits for the host, its clock runs from timer to timer.  So each figure is
# the smallest of several.

cd "$KBUILD/selftests/livepatch" || exit 1
tasks=10000
attempts=5
directory=$(mktemp -d)
output=$directory/output
# Do not read the program from the host while it is measured.
cp klpctl "$directory/"

fail() {
	echo "FAILED: $*"
	cat "$output"
	exit 1
}

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

# until_done TITLE COMMAND...: wait until COMMAND succeeds, for minutes if need be, because each
# look at all tasks takes seconds.
until_done() {
	local attempt
	for attempt in {1..600}; do
		! "${@:2}" || return 0
		sleep 1
	done
	fail "$1, attempt $attempt"
}

# is_waiting COUNT: whether there is a transition that waits for so many tasks.
is_waiting() {
	grep -qx 1 /sys/kernel/livepatch/test_klp_sleep_patch/transition &&
		[ "$(grep -lx 0 /proc/[0-9]*/patch_state | wc -l)" = "$1" ]
}

# is_right COMMAND WAITING: whether the output of klpctl shows so many tasks.
is_right() {
	case $1 in
	status) grep -q " $2 of [0-9]* " "$output" ;;
	why) [ "$(reported "$output")" = "$2" ] ;;
	esac
}

# measure COMMAND WAITING
measure() {
	local attempt status begin end best=
	for ((attempt = 1; attempt <= attempts; attempt++)); do
		status=0
		begin=${EPOCHREALTIME/./}
		"$directory/klpctl" "$1" --stuck-after 1d >"$output" 2>&1 || status=$?
		end=${EPOCHREALTIME/./}
		# The exit status 3 means that a patch is in transition.
		[ "$status" = 3 ] || fail "klpctl $1 exits with $status, attempt $attempt"
		is_right "$1" "$2" || fail "klpctl $1 does not report $2 tasks, attempt $attempt"
		[ "$(wc -l <"$output")" -le 60 ] || fail "klpctl $1 prints more than 60 lines, attempt $attempt"
		[ -n "$best" ] && [ $((end - begin)) -ge "$best" ] || best=$((end - begin))
	done
	[ "$best" -le 2000000 ] || fail "klpctl $1 takes $best us, which is more than 2 s"
	# Nanoseconds, each of which is an instruction.
	echo "figure klpctl_$1 - $2 $tasks ${best}000"
}

# among WAITING PARAMETER...: measure among kernel threads, with a transition that waits for
# WAITING of them.
among() {
	local waiting=$1
	echo "klpctl, $waiting of $tasks tasks"
	insmod test_modules/test_klp_sleep_target.ko "${@:2}" || fail "loading the target"
	insmod test_modules/test_klp_sleep_patch.ko || fail "loading the livepatch"
	# Threads outside of the function switch at once.  Wait until only the others are left.
	until_done "the transition does not wait for $waiting tasks" is_waiting "$waiting"
	measure status "$waiting"
	measure why "$waiting"
	echo 0 >/sys/kernel/livepatch/test_klp_sleep_patch/enabled
	until_done "the livepatch cannot be unloaded" rmmod test_klp_sleep_patch 2>/dev/null
	rmmod test_klp_sleep_target || fail "unloading the target"
}
among 1 "inside=1" "elsewhere=$((tasks - 1))"
among $tasks "inside=$tasks"
rm -r "$directory"
echo "measured"
