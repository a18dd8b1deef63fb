#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measure, for make bench, how long a transition takes on a busy machine, and how long
# other tasks have to wait meanwhile.  Writes lines as
# tools/testing/livepatch/bench/measure.sh does, in nanoseconds:
#
#	figure load_LOAD - - - TIME	from "enabling patch" to "patching complete"
#	figure fork_LOAD - - - TIME	the longest fork of a child that exits
#	figure timer_LOAD - - - TIME	the latest wake-up of a SCHED_FIFO thread
#
# For the LOADs "still" and "transitions", 5,000 tasks sleep.  The waits of other tasks are
# measured for a minute without a transition, and during 100 transitions.

bench=$KBUILD/bench
patch=test_klp_livepatch
sysfs=/sys/kernel/livepatch/$patch
watched=/tmp/watched
undisturbed=/sys/module/livepatch/parameters/undisturbed_cpus

fail() {
	echo "FAILED: $*"
	dmesg | tail -n 20
	exit 1
}

busy() {
	echo "$1" >/sys/module/klp_bench/parameters/busy || fail "busy: $1"
}

# until_done TITLE COMMAND...: wait until COMMAND succeeds, for minutes if need be, because
# the machine is busy.
until_done() {
	local attempt
	for attempt in {1..3000}; do
		! "${@:2}" || return 0
		sleep 0.1
	done
	fail "$1, attempt $attempt"
}
settled() {
	grep -qsx 0 $sysfs/transition
}
gone() {
	[ ! -e $sysfs ]
}
unloaded() {
	rmmod $patch 2>/dev/null
}

# nanoseconds PATTERN: print the time of the last line of the log that matches.
nanoseconds() {
	dmesg | awk -v pattern="'$patch'.*$1|$1.*'$patch'" '
		$0 ~ pattern { match($0, /[0-9]+\.[0-9]+\]/); time = substr($0, RSTART, RLENGTH - 1) }
		END { printf "%.0f\n", time * 1000000000 }'
}

# watch: begin to measure the waits of other tasks.  seen LOAD: end that, and write them.
watch() {
	"$bench/load" watch >$watched &
	watcher=$!
}
seen() {
	local fork timer
	kill -TERM "$watcher"
	wait "$watcher" || fail "the watcher"
	read -r fork timer <$watched
	figure "fork_$1" "$fork"
	figure "timer_$1" "$timer"
}

enable() {
	insmod "$KBUILD/selftests/livepatch/test_modules/$patch.ko" || fail "loading $patch"
	until_done "the transition is not over" settled
}
disable() {
	echo 0 >$sysfs/enabled
	until_done "the patch does not go" gone
	until_done "the module does not go" unloaded
}

# measure LOAD COMMAND...: measure one transition while COMMAND runs.
measure() {
	local load=$1 loader="" begin end
	shift
	echo "busy: $load"
	if [ "${1:-}" = busy ]; then
		busy "$2"
	elif [ $# -gt 0 ]; then
		"$@" &
		loader=$!
	fi
	watch
	sleep 2
	enable
	begin=$(nanoseconds "enabling patch") end=$(nanoseconds "patching complete")
	if [ "$begin" -le 0 ] || [ "$end" -le "$begin" ]; then
		fail "the log does not tell the time: $begin, $end"
	fi
	figure "load_$load" $((end - begin))
	seen "$load"
	[ -z "$loader" ] || { kill "$loader" && wait "$loader"; } 2>/dev/null
	busy none
	disable
}

# measure_tasks: measure many transitions with many tasks.
measure_tasks() {
	local tasks=/sys/module/klp_bench/parameters/tasks i
	echo 5000 >$tasks || fail "starting 5,000 tasks"
	echo "5,000 tasks, no transition"
	watch
	sleep 60
	seen still
	echo "5,000 tasks, 100 transitions"
	watch
	for i in {1..50}; do
		enable
		disable
		[ $((i % 10)) != 0 ] || echo "5,000 tasks, $((2 * i)) transitions"
	done
	seen transitions
	echo 0 >$tasks
}

figure() {
	printf 'figure %s - - - %s\n' "$@"
}

dmesg -n 1
insmod "$bench/klp_bench.ko" || fail "loading klp_bench"
# Real-time loops leave 5 % of the time to other tasks, which is the kernel's default.
measure idle
measure user "$bench/load" user
# By default, the Rust core disturbs no task on a CPU without a tick.  Such CPUs are for
# loops in user space, which are measured above.
[ ! -e "$undisturbed" ] || echo >"$undisturbed" || fail "undisturbed_cpus"
measure calls "$bench/load" calls
measure resched busy resched
measure spin busy spin
measure forks "$bench/load" forks 500
measure fifo "$bench/load" fifo
measure_tasks
rmmod klp_bench
! dmesg | grep -E 'BUG:|WARNING:|Oops|rcu:.*stall' || fail "the kernel complains, above"
echo "measured"
