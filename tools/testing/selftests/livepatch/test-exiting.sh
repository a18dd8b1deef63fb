#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tasks that exit and have left the task list, in functions that livepatches change.  A
# thread, and the child of a process that ignores SIGCHLD, release themselves: they leave
# the task list and still run.  A transition must treat them like other tasks until they
# are dead.
#
# test_klp_exit_patch.ko sends such a task to test_klp_leave_a(), where it sleeps,
# and to test_klp_leave_b().

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-leave.sh

MOD_EXIT=test_klp_exit_patch

EXITING_PARAM=/sys/module/$MOD_TARGET/parameters/hold_exiting
READERS_PARAM=/sys/module/$MOD_TARGET/parameters/hold_readers

setup_leave

is_rust ||
	skip "the C core does not see these tasks, and frees code that they run"

# await_message(text) - wait until a module has logged a message
#	text - the message
function await_message() {
	local text="$1"

	wait_until 'new_messages | grep -qF "$text"' ||
		die "no message: $text"
}

# start_exiting(kind, params) - load the target, and the livepatch that sends exiting
#	tasks into its functions; start a process, and wait until its task sleeps in
#	one of them.  Sets PARENT to the process.
#	kind   - thread or child
#	params - of the target
function start_exiting() {
	local kind="$1"; shift

	load_mod $MOD_TARGET hold_exiting=Y "$@"
	load_lp $MOD_EXIT
	./test_klp-exit $kind &
	PARENT=$!
	await_message "$MOD_TARGET: original a"
}

# release_exiting() - let the exiting task go on to its end
function release_exiting() {
	write_ok $EXITING_PARAM N
	await_message "$MOD_EXIT: done"
}

# end_exiting() - end the process, unload the target, die if anything is left
function end_exiting() {
	end_processes $PARENT
	unload_mod $MOD_TARGET
	check_clean
}

# check_waits(modname, state) - check that a transition waits although all tasks in the
#	task list have switched
#	modname - livepatch in transition
#	state   - the patch_state of tasks that it waits for
function check_waits() {
	local mod="$1"; shift
	local state="$1"

	wait_until '[[ -z "$(tasks_in_state $state)" ]]' ||
		die "not switched: $(tasks_in_state "$state")"
	stays "$SYSFS_KLP_DIR/$mod/transition" 1 ||
		die "the transition of $mod does not wait for the exiting task"
}

# wait_complete(modname) - wait for the end of a patching transition
function wait_complete() {
	local mod="$1"

	loop_until 'grep -q "^0$" $SYSFS_KLP_DIR/$mod/transition' ||
		die "failed to complete transition"
}

# The kernel's messages in the stages that the cases share.  The messages of a
# transition are in two parts: the second comes when the transition no longer waits.
LOADED="% insmod test_modules/$MOD_EXIT.ko
$(patching_messages $MOD_EXIT)
$MOD_TARGET: original a"
DISABLE="% echo 0 > $SYSFS_KLP_DIR/$MOD_EXIT/enabled
$(unpatching_messages $MOD_EXIT | head -n -2)"
DISABLED=$(unpatching_messages $MOD_EXIT | tail -n 2)
PATCH="% insmod test_modules/$MOD_PATCH.ko hold=N
$(patching_messages $MOD_PATCH | head -n -2)"
PATCHED=$(patching_messages $MOD_PATCH | tail -n 2)
RELEASE="% echo N > $EXITING_PARAM
$MOD_TARGET: original b
$MOD_EXIT: done"
TARGET_GONE="% rmmod $MOD_TARGET"


# - a task that exits sleeps under a function of the livepatch
# - the livepatch is disabled; the transition waits for the task

# waits_when_disabled(kind) - the case for a thread, or a child
function waits_when_disabled() {
	local kind="$1"
	local title="exiting $kind under a new function"

	start_test "$title"

	start_exiting $kind
	write_ok "$SYSFS_KLP_DIR/$MOD_EXIT/enabled" 0
	check_waits $MOD_EXIT 1
	release_exiting
	loop_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_EXIT" ]]' ||
		die "livepatch $MOD_EXIT does not end"
	unload_lp $MOD_EXIT
	end_exiting

	check_result "% insmod test_modules/$MOD_TARGET.ko hold_exiting=Y
$LOADED
$DISABLE
$RELEASE
$DISABLED
% rmmod $MOD_EXIT
$TARGET_GONE"
}

waits_when_disabled thread
waits_when_disabled child


# - a task that exits sleeps under a function of the livepatch
# - the livepatch is disabled, and its transition forced; its module stays
# - the task leaves the function; the module goes

start_test "exiting thread under a new function, forced"

start_exiting thread
write_ok "$SYSFS_KLP_DIR/$MOD_EXIT/enabled" 0
check_waits $MOD_EXIT 1
write_ok "$SYSFS_KLP_DIR/$MOD_EXIT/force" 1
loop_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_EXIT" ]]' ||
	die "livepatch $MOD_EXIT does not end"
check_in_use $MOD_EXIT
release_exiting
unload_lp $MOD_EXIT
end_exiting

check_result "% insmod test_modules/$MOD_TARGET.ko hold_exiting=Y
$LOADED
$DISABLE
% echo 1 > $SYSFS_KLP_DIR/$MOD_EXIT/force
livepatch: forcing remaining tasks to the patched state
$DISABLED
% rmmod $MOD_EXIT
rmmod: ERROR: Module $MOD_EXIT is in use
$RELEASE
% rmmod $MOD_EXIT
$TARGET_GONE"


# - a task that exits sleeps in a function that is to be patched
# - the transition waits for it
# - the task goes on, and calls another function of the same livepatch: it reaches the
#   original one

# waits_when_enabled(kind) - the case for a thread, or a child
function waits_when_enabled() {
	local kind="$1"
	local title="exiting $kind in an original function"

	start_test "$title"

	start_exiting $kind
	load_lp_nowait $MOD_PATCH hold=N
	check_waits $MOD_PATCH 0
	release_exiting
	wait_complete $MOD_PATCH
	disable_lp $MOD_PATCH
	unload_lp $MOD_PATCH
	disable_lp $MOD_EXIT
	unload_lp $MOD_EXIT
	end_exiting

	check_result "% insmod test_modules/$MOD_TARGET.ko hold_exiting=Y
$LOADED
$PATCH
$RELEASE
$PATCHED
% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH/enabled
$(unpatching_messages $MOD_PATCH)
% rmmod $MOD_PATCH
$DISABLE
$DISABLED
% rmmod $MOD_EXIT
$TARGET_GONE"
}

waits_when_enabled thread
waits_when_enabled child


# - a reader and an exiting task sleep in the function that is to be patched
# - the exiting task goes on during the transition: the core must not warn
# - the transition completes when the reader is gone

start_test "exiting thread in a transition that a reader holds up"

start_exiting thread hold_readers=Y
start_sleeper test_klp_leave_a test_klp_leave_a
load_lp_nowait $MOD_PATCH hold=N
wait_until '[[ "$(tasks_in_state 0)" == "$SLEEPER" ]]' ||
	die "not patched, besides $SLEEPER: $(tasks_in_state 0)"
release_exiting
! new_messages | grep 'WARNING: ' ||
	die "the core warns about the exiting task"
check_sysfs_value $MOD_PATCH transition 1
write_ok $READERS_PARAM N
wait $SLEEPER
wait_complete $MOD_PATCH
disable_lp $MOD_PATCH
unload_lp $MOD_PATCH
disable_lp $MOD_EXIT
unload_lp $MOD_EXIT
end_exiting

check_result "% insmod test_modules/$MOD_TARGET.ko hold_exiting=Y hold_readers=Y
$LOADED
$PATCH
$RELEASE
% echo N > $READERS_PARAM
$PATCHED
% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH/enabled
$(unpatching_messages $MOD_PATCH)
% rmmod $MOD_PATCH
$DISABLE
$DISABLED
% rmmod $MOD_EXIT
$TARGET_GONE"

finish
