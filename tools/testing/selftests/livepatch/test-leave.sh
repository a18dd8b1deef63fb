#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Livepatches that end while a task sleeps in their code.  Their modules must stay
# until the task has left the code, and must go then, although
#
#  - the task's stack shows none of the functions that the livepatch has changed,
#    because the new function has reached the code by a sibling call, or has passed
#    the address of code or data to the kernel, or
#  - the task can come back to the code by restart_syscall(2), or
#  - the task is a kernel thread that has not begun to run the code, or
#  - the transition was forced.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-leave.sh

WALK_PARAM=/sys/module/$MOD_TARGET/parameters/hold_walk

setup_leave

is_rust ||
	skip "the C core does not survive this, and never lets go of a forced livepatch"

# release(param, text) - let the reader go on to its end
#	param - the parameter that holds it
#	text  - its output
function release() {
	local param="$1"; shift
	local text="$1"

	write_ok $param N
	end_reader "$text"
}

RELEASE="% echo N > $HOLD_PARAM"


# - a reader sleeps in code of the livepatch
# - the livepatch is disabled, and leaves sysfs; its module stays
# - meanwhile another livepatch comes and goes
# - the reader goes on in the code; the module goes

# asleep(title, way, present, absent, text) - run this case
#	title   - its name
#	way     - how the reader gets into the code
#	present - the function that it sleeps in
#	absent  - the new function, which has reached it by a sibling call
#	text    - the output of the reader
function asleep() {
	local title="$1"; shift
	local way="$1"; shift
	local present="$1"; shift
	local absent="$1"; shift
	local text="$1"

	start_test "$title"

	load_mod $MOD_TARGET
	load_lp $MOD_PATCH reach=$way
	start_reader
	await_reader "$present" "$absent"
	disable_lp $MOD_PATCH
	check_in_use $MOD_PATCH
	another_livepatch
	check_still_held
	release $HOLD_PARAM "$text"
	unload_lp $MOD_PATCH
	check_ended

	check_result "$TARGET
$(patch_messages reach=$way)
$PATCH_GONE
$IN_USE
$ANOTHER
$RELEASE
% rmmod $MOD_PATCH
$TARGET_GONE"
}

asleep "tail call, asleep" jump leave_patch_wait leave_patch_jump \
	"new a
done"


# - a reader sleeps in a function of the target that is about to use code or data of
#   the livepatch: the reader's stack has no return address in the livepatch

# asleep_outside(title, way, present, text) - run this case
#	title   - its name
#	way     - how the reader gets into the function
#	present - the function
#	text    - the output of the reader
function asleep_outside() {
	local title="$1"; shift
	local way="$1"; shift
	local present="$1"; shift
	local text="$1"

	start_test "$title"

	load_mod $MOD_TARGET hold_walk=Y
	load_lp $MOD_PATCH reach=$way hold=N
	start_reader
	await_reader "$present" "leave_patch_[a-z]*"
	disable_lp $MOD_PATCH
	check_in_use $MOD_PATCH
	another_livepatch
	check_still_held
	release $WALK_PARAM "$text"
	unload_lp $MOD_PATCH
	check_ended

	check_result "$TARGET hold_walk=Y
$(patch_messages reach=$way hold=N)
$PATCH_GONE
$IN_USE
$ANOTHER
% echo N > $WALK_PARAM
% rmmod $MOD_PATCH
$TARGET_GONE"
}

ASLEEP_IN="callback, asleep in it"
ASLEEP_BETWEEN="callback, asleep between two calls"
ASLEEP_WITH_DATA="tail call with data, asleep"
if [[ "$(uname -m)" == ppc64* ]]; then
	# The caller of another module's function sets r2 back afterwards.
	for title in "$ASLEEP_IN" "$ASLEEP_BETWEEN" "$ASLEEP_WITH_DATA"; do
		skip_case "$title" "powerpc has no sibling calls between modules"
	done
else
	asleep "$ASLEEP_IN" callback leave_patch_wait leave_patch_callback \
		"new a
done
new a
done"
	asleep_outside "$ASLEEP_BETWEEN" callback test_klp_leave_walk "new a
done
new a
done"
	asleep_outside "$ASLEEP_WITH_DATA" data test_klp_leave_tell "new a"
fi


# - a reader has read, and has stopped

can_restart "restart of a system call" start_stopped_reader end_stopped_reader


# - a reader sleeps in code of the livepatch, which is replaced by one that
#   changes the same functions: nothing leaves ftrace

start_test "tail call, asleep, all functions replaced"

load_mod $MOD_TARGET
load_lp $MOD_PATCH reach=jump
start_reader
await_reader leave_patch_wait leave_patch_jump
load_lp $MOD_OTHER both=Y replace=Y
loop_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_PATCH" ]]' ||
	die "livepatch $MOD_PATCH is not replaced"
check_in_use $MOD_PATCH
another_livepatch
check_still_held
release $HOLD_PARAM "new a
done"
unload_lp $MOD_PATCH
end_other
check_ended

check_result "$TARGET
$(patch_messages reach=jump)
$(other_messages both=Y replace=Y)
$IN_USE
$ANOTHER
$RELEASE
% rmmod $MOD_PATCH
$(other_gone_messages)
$TARGET_GONE"


# - a reader sleeps in a new function, and holds the replacement up
# - the transition is forced; the module of the replaced livepatch stays
# - the reader goes on; the module goes

# check_held_up(state) - wait until only the reader holds the transition up
#	state - its patch_state, 0 when patching, 1 when unpatching
function check_held_up() {
	local state="$1"

	wait_until '[[ "$(tasks_in_state $state)" == "$READER" ]]' ||
		die "in state $state, besides $READER: $(tasks_in_state "$state")"
}

start_test "forced replacement"

load_mod $MOD_TARGET
load_lp $MOD_PATCH
start_reader
await_reader leave_patch_wait
load_lp_nowait $MOD_OTHER both=Y replace=Y
check_held_up 0
write_ok "$SYSFS_KLP_DIR/$MOD_OTHER/force" 1
loop_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_PATCH" ]]' ||
	die "livepatch $MOD_PATCH is not replaced"
check_in_use $MOD_PATCH
another_livepatch
check_still_held
release $HOLD_PARAM "new a
done"
unload_lp $MOD_PATCH
end_other
check_ended

messages=$(other_messages both=Y replace=Y)
check_result "$TARGET
$(patch_messages)
$(head -n -2 <<< "$messages")
% echo 1 > $SYSFS_KLP_DIR/$MOD_OTHER/force
livepatch: forcing remaining tasks to the patched state
$(tail -n 2 <<< "$messages")
$IN_USE
$ANOTHER
$RELEASE
% rmmod $MOD_PATCH
$(other_gone_messages)
$TARGET_GONE"


# - the same for a livepatch that is disabled

# disable_by_force() - disable the livepatch and force the transition, which only the
#	reader holds up; die if the livepatch's module goes
function disable_by_force() {
	write_ok "$SYSFS_KLP_DIR/$MOD_PATCH/enabled" 0
	check_held_up 1
	write_ok "$SYSFS_KLP_DIR/$MOD_PATCH/force" 1
	loop_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_PATCH" ]]' ||
		die "livepatch $MOD_PATCH does not end"
	check_in_use $MOD_PATCH
	another_livepatch
	check_still_held
}

# check_forced_result(params) - check the messages of such a case
#	params - parameters of the livepatch's module
function check_forced_result() {
	check_result "$TARGET
$(patch_messages "$@")
$(head -n -2 <<< "$PATCH_GONE")
% echo 1 > $SYSFS_KLP_DIR/$MOD_PATCH/force
livepatch: forcing remaining tasks to the patched state
$(tail -n 2 <<< "$PATCH_GONE")
$IN_USE
$ANOTHER
$RELEASE
% rmmod $MOD_PATCH
$TARGET_GONE"
}

start_test "forced disabling"

load_mod $MOD_TARGET
load_lp $MOD_PATCH
start_reader
await_reader leave_patch_wait
disable_by_force
release $HOLD_PARAM "new a
done"
unload_lp $MOD_PATCH
check_ended

check_forced_result


# - the same for a kernel thread that was created to run a new function

start_test "forced disabling, kernel thread"

load_mod $MOD_TARGET
load_lp $MOD_PATCH reach=thread
READER=$(pgrep -x test_klp_leave)
wait_until 'grep -q " leave_patch_thread+" /proc/$READER/stack' ||
	die "the thread does not get to leave_patch_thread()"
disable_by_force
write_ok $HOLD_PARAM N
unload_lp $MOD_PATCH
check_ended

check_forced_result reach=thread


# - a kernel thread that was created to run a new function, and has not been started

start_test "kernel thread that has not been started"

load_mod $MOD_TARGET
load_lp $MOD_PATCH reach=created
disable_lp $MOD_PATCH
check_in_use $MOD_PATCH
another_livepatch
check_still_held
write_ok $HOLD_PARAM N
unload_lp $MOD_PATCH
check_ended

check_result "$TARGET
$(patch_messages reach=created)
$PATCH_GONE
$IN_USE
$ANOTHER
$RELEASE
% rmmod $MOD_PATCH
$TARGET_GONE"

finish
