#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tracepoints of live patching have the right fields, and report the right events.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_BUSY=test_klp_callbacks_busy
MOD_DEMO=test_klp_callbacks_demo
MOD_LIVEPATCH=test_klp_livepatch
MOD_REPLACE=test_klp_atomic_replace
MOD_TARGET=test_klp_sleep_target
MOD_SLEEP=test_klp_sleep_patch

BLOCK_PARAM=/sys/module/$MOD_BUSY/parameters/block_transition
EVENTS=$SYSFS_TRACING_DIR/events/livepatch
CPUS=/sys/devices/system/cpu

# Parts of several patterns.
MANY="waiting=[1-9][0-9]+"
TASKS="tasks=[0-9]+"
LATER="elapsed_ms=[1-9][0-9]*"

is_root
[[ -d $EVENTS ]] ||
	skip "this kernel has no tracepoints of live patching"
[[ -e /proc/self/stack && -e /proc/self/patch_state ]] ||
	skip "no stack or patch_state in /proc/PID"

setup_config

# The test has its own trace instance, so that other users of tracing do not matter.
TRACE=$SYSFS_TRACING_DIR/instances/livepatch_test.$$
SLEEPER=

# cleanup_trace() - remove the instance, end the process, and bring CPU 1 back
function cleanup_trace() {
	[[ -z "$SLEEPER" ]] || kill -KILL $SLEEPER 2> /dev/null
	rmdir $TRACE 2> /dev/null
	cleanup
	bring_back
}
trap cleanup_trace EXIT INT TERM HUP
mkdir $TRACE ||
	skip "no trace instance can be made"
echo 4096 > $TRACE/buffer_size_kb
echo 1 > $TRACE/events/livepatch/enable

# traced() - all events since start_case, without the text before their names
function traced() {
	sed -n 's/^.*: \(klp_[a-z]*_[a-z]*: .*\)$/\1/p' $TRACE/trace
}

# start_case(name) - begin a case with an empty trace
function start_case() {
	echo > $TRACE/trace
	start_test "$1"
}

# fail(msg) - the case fails: show the trace, without most of the tasks
function fail() {
	echo "not ok"
	traced | grep -v 'way=stack_check' | tail -n 60 | sed 's/^/# /'
	die "$1"
}

# saw(regex) - die unless an event matches
function saw() {
	traced | grep -qxE -e "$1" ||
		fail "not traced: $1"
}

# saw_in_order(regex...) - die unless events match these patterns, in this order
function saw_in_order() {
	local lines line

	mapfile -t lines < <(traced)
	for line in "${lines[@]}"; do
		[[ $# -gt 0 ]] || break
		grep -qxE -e "$1" <<< "$line" && shift
	done
	[[ $# -eq 0 ]] ||
		fail "not traced, or not in this order: $1"
}

# never_saw(regex) - die if an event matches
function never_saw() {
	! traced | grep -qxE -e "$1" ||
		fail "traced: $1"
}

# fields(event, field...) - die unless the event exists and has these fields
function fields() {
	local event="$1"; shift
	local field found

	found=$(sed -n 's/^\tfield:.*[ ]\([a-z_]*\)\(\[[0-9]*\]\)\?;\toffset.*/\1/p' \
			$EVENTS/$event/format | xargs)
	for field; do
		[[ " $found " == *" $field "* ]] ||
			fail "$event has no field $field, but these: $found"
	done
	grep -q "^print fmt: \"$1=" $EVENTS/$event/format ||
		fail "the text of $event does not begin with $1"
}

# switched_each_once(start) - die if a task has switched more than once since the latest
#	event that matches.  Idle tasks do not count, because all of them have PID 0.
function switched_each_once() {
	local twice

	twice=$(traced | awk -v start="$1" '
		$0 ~ start { split("", seen); twice = "" }
		/^klp_task_switched/ && !/pid=0 / && seen[$2]++ { twice = twice " " $2 }
		END { print twice }')
	[[ -z "$twice" ]] ||
		fail "switched more than once: $twice"
}

# check_tasks(target) - check that klp_transition_start has the number of tasks, that
#	about as many tasks have switched one by one, and that klp_transition_complete
#	waits for no task.  Some tasks begin or end during the transition.
function check_tasks() {
	local target="$1"
	local start tasks switched some

	start="^klp_transition_start: .* target=$target"
	tasks=$(traced | sed -n "s/$start waiting=\([0-9]*\) tasks=\1 elapsed_ms=0\$/\1/p")
	[[ "$tasks" -gt 20 ]] ||
		fail "klp_transition_start counts '$tasks' tasks"
	switched=$(traced |
		grep -c "^klp_task_switched: pid=[0-9]* target=$target way=[a-z_]* comm=")
	some=$((5 + tasks / 20))
	[[ $((switched - tasks)) -le $some && $((tasks - switched)) -le $some ]] ||
		fail "$switched tasks of $tasks have switched"
	switched_each_once "^klp_transition_start: "
	saw "klp_task_switched: pid=1 target=$target way=[a-z_]+ comm=.*"
	saw "klp_task_switched: pid=0 target=$target way=[a-z_]+ comm=swapper/0"
	saw "klp_transition_complete: patch=.* target=$target waiting=0 $TASKS elapsed_ms=[0-9]+"
}

# wait_traced(regex) - wait until an event matches
function wait_traced() {
	wait_until 'traced | grep -qxE -e "'"$1"'"' ||
		fail "not traced: $1"
}


start_case "tracepoints have their fields"

PATCH_FIELDS="patch target waiting tasks elapsed_ms"
fields klp_patch_enable patch replace
fields klp_patch_disable patch
fields klp_patch_replace patch by
fields klp_transition_start $PATCH_FIELDS
fields klp_transition_reverse $PATCH_FIELDS
fields klp_transition_force $PATCH_FIELDS
fields klp_transition_complete $PATCH_FIELDS
fields klp_task_switched pid target way comm
fields klp_task_blocked pid target reason err func comm
never_saw ".*"
pass


start_case "trace a patch that is enabled and disabled"

load_lp $MOD_LIVEPATCH
check_tasks patched
saw_in_order "klp_patch_enable: patch=$MOD_LIVEPATCH replace=0" \
	"klp_transition_start: patch=$MOD_LIVEPATCH target=patched .*" \
	"klp_transition_complete: patch=$MOD_LIVEPATCH target=patched .*"
never_saw "klp_patch_(disable|replace): .*"

echo > $TRACE/trace
disable_lp $MOD_LIVEPATCH
check_tasks unpatched
saw_in_order "klp_patch_disable: patch=$MOD_LIVEPATCH" \
	"klp_transition_start: patch=$MOD_LIVEPATCH target=unpatched .*" \
	"klp_transition_complete: patch=$MOD_LIVEPATCH target=unpatched .*"
never_saw "klp_patch_(enable|replace): .*"
unload_lp $MOD_LIVEPATCH
pass


start_case "trace a patch that is replaced"

load_lp $MOD_LIVEPATCH
load_lp $MOD_REPLACE replace=1
wait_traced "klp_patch_replace: .*"
saw_in_order "klp_patch_enable: patch=$MOD_LIVEPATCH replace=0" \
	"klp_transition_complete: patch=$MOD_LIVEPATCH .*" \
	"klp_patch_enable: patch=$MOD_REPLACE replace=1" \
	"klp_transition_start: patch=$MOD_REPLACE .*" \
	"klp_transition_complete: patch=$MOD_REPLACE .*" \
	"klp_patch_replace: patch=$MOD_LIVEPATCH by=$MOD_REPLACE"
never_saw "klp_patch_disable: .*"
unload_lp $MOD_LIVEPATCH
disable_lp $MOD_REPLACE
unload_lp $MOD_REPLACE
pass


start_case "trace a patch that is refused"

load_failing_mod $MOD_DEMO pre_patch_ret=-19
never_saw ".*"
pass


start_case "trace a kernel thread that holds a transition up"

start_busy
load_lp_nowait $MOD_DEMO
FUNCTION="reason=function func=busymod_work_func err=0"
wait_traced "klp_task_blocked: pid=$WORKER target=patched $FUNCTION comm=kworker/.*"
never_saw "klp_task_switched: pid=$WORKER .*"
never_saw "klp_transition_(complete|force|reverse): .*"

# Wait until all other tasks have switched.
wait_until '[[ "$(tasks_in_state 0)" == "$WORKER" ]]'
echo 0 > $SYSFS_KLP_DIR/$MOD_DEMO/enabled
loop_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_DEMO ]]'
saw_in_order \
	"klp_transition_reverse: patch=$MOD_DEMO target=patched waiting=1 $TASKS $LATER" \
	"klp_patch_disable: patch=$MOD_DEMO" \
	"klp_transition_start: patch=$MOD_DEMO target=unpatched $MANY $TASKS elapsed_ms=0" \
	"klp_task_switched: pid=1 target=unpatched .*" \
	"klp_transition_complete: patch=$MOD_DEMO target=unpatched waiting=0 .*"
never_saw "klp_task_switched: pid=$WORKER .*"
unload_lp $MOD_DEMO
echo N > $BLOCK_PARAM
unload_mod $MOD_BUSY
pass


# A pass may find the thread just before it switches itself, but not in each attempt.
start_case "trace a kernel thread that goes to sleep elsewhere"

for attempt in {1..5}; do
	echo > $TRACE/trace
	start_busy
	load_lp_nowait $MOD_DEMO
	wait_traced "klp_task_blocked: pid=$WORKER target=patched reason=function .*"
	echo N > $BLOCK_PARAM
	wait_traced "klp_transition_complete: .*"
	disable_lp $MOD_DEMO
	unload_lp $MOD_DEMO
	unload_mod $MOD_BUSY
	traced | grep -q "^klp_task_switched: pid=$WORKER target=patched way=schedule " &&
		break
	[[ $attempt -lt 5 ]] ||
		fail "the kernel thread has never switched by itself"
done
pass


start_case "trace a transition that is forced"

start_busy
load_lp_nowait $MOD_DEMO
wait_until '[[ "$(tasks_in_state 0)" == "$WORKER" ]]'
echo 1 > $SYSFS_KLP_DIR/$MOD_DEMO/force
wait_traced "klp_transition_complete: .*"
saw_in_order \
	"klp_transition_force: patch=$MOD_DEMO target=patched waiting=1 $TASKS $LATER" \
	"klp_task_switched: pid=$WORKER target=patched way=forced comm=kworker/.*" \
	"klp_transition_complete: patch=$MOD_DEMO target=patched waiting=0 .*"
[[ "$(traced | grep -c way=forced)" == 1 ]] ||
	fail "another task was forced"
echo N > $BLOCK_PARAM
disable_lp $MOD_DEMO
unload_lp $MOD_DEMO
unload_mod $MOD_BUSY
pass


start_case "trace a user process that holds a transition up"

load_mod $MOD_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
load_lp_nowait $MOD_SLEEP
FUNCTION="reason=function func=test_klp_sleep_show err=0"
wait_traced "klp_task_blocked: pid=$SLEEPER target=patched $FUNCTION comm=cat"
end_processes $SLEEPER
wait_traced "klp_transition_complete: .*"
saw "klp_task_switched: pid=$SLEEPER target=patched way=(kernel_exit|schedule|stack_check) comm=cat"
SLEEPER=
disable_lp $MOD_SLEEP
unload_lp $MOD_SLEEP

# The function has no ORC data, so the ORC unwinder cannot unwind the stack.  Unwinders
# that use frame pointers can.
start_sleeper test_klp_sleep_unreliable test_klp_sleep_unreliable_show
echo > $TRACE/trace
load_lp_nowait $MOD_SLEEP
wait_traced "klp_task_(blocked|switched): pid=$SLEEPER .*"
if [[ "$(uname -m)" == "x86_64" ]] && grep -q ' unwind_module_init$' /proc/kallsyms; then
	NONE="reason=unreliable_stack func=\(null\) err=0"
	saw "klp_task_blocked: pid=$SLEEPER target=patched $NONE comm=cat"
fi
end_processes $SLEEPER
SLEEPER=
wait_traced "klp_transition_complete: .*"
disable_lp $MOD_SLEEP
unload_lp $MOD_SLEEP
unload_mod $MOD_TARGET
pass


start_case "trace what CPUs do"

# This process never sleeps.  Besides it, only this shell keeps a CPU busy.
(while :; do :; done) &
SLEEPER=$!
load_lp $MOD_LIVEPATCH
saw "klp_task_switched: pid=$SLEEPER target=patched way=(kernel_exit|schedule|stack_check) comm=.*"
end_processes $SLEEPER
SLEEPER=
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH
never_saw "klp_task_switched: .* way=forced .*"
[[ "$(< $CPUS/possible)" != "$(< $CPUS/online)" ]] ||
	never_saw "klp_task_switched: .* way=offline .*"
if can_offline; then
	take_offline
	load_lp $MOD_LIVEPATCH
	saw "klp_task_switched: pid=0 target=patched way=offline comm=swapper/1"
	bring_back
	disable_lp $MOD_LIVEPATCH
	unload_lp $MOD_LIVEPATCH
fi
pass

finish
