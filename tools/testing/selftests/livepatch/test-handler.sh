#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A task that is preempted in ftrace, when a handler has chosen the function that it goes
# on to.  Its stack does not show that function.  The task must not switch there: the
# function would be that of one state, and those that it calls of the other.

# shellcheck disable=SC2034 # functions-extra.sh reads variables

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_TARGET=test_klp_handler_target
MOD_PATCH1=test_klp_handler_patch1
MOD_PATCH2=test_klp_handler_patch2

PARAMS=/sys/module/$MOD_TARGET/parameters
# Parameters decide when the task goes on, so only a broken kernel reaches this limit.
MAX_WAIT=600

# Either core signals the task if the machine is slow.
hide_signaling

setup_config
skip_unless_preemptible
[[ -e /proc/self/patch_state ]] ||
	skip "no patch_state in /proc/PID"
ONLINE=$(< /sys/devices/system/cpu/online)
[[ "$ONLINE" == *[,-]* ]] ||
	skip "this machine has one CPU"
# FIXED=1: with the fix "livepatch: Do not switch a task that has just chosen a function"
is_rust || [[ "${FIXED:-0}" == 1 ]] ||
	skip "the C core switches a task that has just chosen a function"

# The last CPU is for the task, and for the other one that keeps it from that CPU.
CPU=$(online_cpus | tail -n 1)

# Let the task go on, even after a failure.
function cleanup_handler() {
	[[ ! -e $PARAMS/held ]] || echo N > $PARAMS/held
	cleanup
}
trap cleanup_handler EXIT INT TERM HUP

# With PREEMPT_RT, not even timers of this script would run there.
taskset -pc ${ONLINE%%[,-]*} $$ > /dev/null

# hold() - have the task call the function, and wait until it is preempted
function hold() {
	echo Y > $PARAMS/held
	wait_until '[[ "$(< $PARAMS/holds)" == Y ]]' ||
		die "no task is preempted in ftrace"
	[[ "$(< $PARAMS/result)" == -1 ]] ||
		die "the task was not preempted in ftrace"
}

# release(state, result) - when the core has looked at all tasks, let the task go on; die if it
#	meets other versions
#	state - the patch_state of tasks that have not switched
#	result - the versions
function release() {
	local state="$1"; shift
	local result="$1"

	# The task, and the other one that has its CPU
	wait_until "[[ \$(tasks_in_state $state | wc -l) -le 2 ]]" ||
		die "other tasks do not switch: $(tasks_in_state $state | xargs)"
	echo N > $PARAMS/held
	wait_until '[[ "$(< $PARAMS/result)" != -1 ]]' ||
		die "the task does not return"
	[[ "$(< $PARAMS/result)" == "$result" ]] ||
		die "mixed versions: $(< $PARAMS/result), not $result"
}


# - a livepatch is disabled while a task is on its way to the new function

start_test "preempted on the way to a function that is disabled"

load_mod $MOD_TARGET cpu=$CPU
load_lp $MOD_PATCH1
hold
write_ok $SYSFS_KLP_DIR/$MOD_PATCH1/enabled 0
release 1 11
wait_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_PATCH1 ]]' ||
	die "the livepatch does not end"
unload_lp $MOD_PATCH1
unload_mod $MOD_TARGET

check_result "% insmod test_modules/$MOD_TARGET.ko cpu=$CPU
% insmod test_modules/$MOD_PATCH1.ko
$(patching_messages $MOD_PATCH1)
% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH1/enabled
$(unpatching_messages $MOD_PATCH1)
% rmmod $MOD_PATCH1
% rmmod $MOD_TARGET"


# - another livepatch is enabled above it meanwhile

start_test "preempted on the way to a function that is replaced"

load_mod $MOD_TARGET cpu=$CPU
load_lp $MOD_PATCH1
hold
load_lp_nowait $MOD_PATCH2
release 0 11
wait_until is_over $MOD_PATCH2 ||
	die "the transition does not end"
disable_lp $MOD_PATCH2
unload_lp $MOD_PATCH2
disable_lp $MOD_PATCH1
unload_lp $MOD_PATCH1
unload_mod $MOD_TARGET

check_result "% insmod test_modules/$MOD_TARGET.ko cpu=$CPU
% insmod test_modules/$MOD_PATCH1.ko
$(patching_messages $MOD_PATCH1)
% insmod test_modules/$MOD_PATCH2.ko
$(patching_messages $MOD_PATCH2)
% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH2/enabled
$(unpatching_messages $MOD_PATCH2)
% rmmod $MOD_PATCH2
% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH1/enabled
$(unpatching_messages $MOD_PATCH1)
% rmmod $MOD_PATCH1
% rmmod $MOD_TARGET"

finish
