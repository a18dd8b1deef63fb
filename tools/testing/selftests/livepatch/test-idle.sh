#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Livepatches that change functions of the idle loop, or its callers.  Idle tasks go
# through this loop, and so do threads that inject idle time.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-leave.sh

MOD_TARGET=test_klp_idle_target
MOD_PATCH=test_klp_idle_patch
HOLD_PARAM=/sys/module/$MOD_TARGET/parameters/hold

# cleanup_idle() - let the thread and the CPU go on, and clean up
function cleanup_idle() {
	[[ ! -e $HOLD_PARAM ]] || echo N > $HOLD_PARAM
	cleanup_leave
}

setup_leave
trap cleanup_idle EXIT INT TERM HUP

grep -qx schedule_idle "$SYSFS_TRACING_DIR/available_filter_functions" ||
	skip "ftrace does not know schedule_idle()"

CPU=$(online_cpus | tail -n 1)

# check_waits() - die if the transition of the livepatch ends
function check_waits() {
	stays "$SYSFS_KLP_DIR/$MOD_PATCH/transition" 1 ||
		die "the transition does not wait"
}


# - a thread injects idle time, and is inside a function that changes
# - the livepatch is loaded; the transition waits for the thread

TITLE="thread that injects idle time"
# FIXED=1: with the fix "livepatch: Do not switch a thread that injects idle time"
if is_rust || [[ "${FIXED:-0}" == 1 ]]; then
	start_test "$TITLE"

	load_mod $MOD_TARGET
	load_lp_nowait $MOD_PATCH
	check_waits
	write_ok $HOLD_PARAM N
	wait_until is_over $MOD_PATCH ||
		die "the transition does not end"
	disable_lp $MOD_PATCH
	unload_lp $MOD_PATCH
	check_ended

	messages=$(patching_messages $MOD_PATCH)
	check_result "% insmod test_modules/$MOD_TARGET.ko
% insmod test_modules/$MOD_PATCH.ko
$(head -n -2 <<< "$messages")
% echo N > $HOLD_PARAM
$(tail -n 2 <<< "$messages")
% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH/enabled
$(unpatching_messages $MOD_PATCH)
% rmmod $MOD_PATCH
% rmmod $MOD_TARGET"
else
	skip_case "$TITLE" "the C core switches such a thread in the idle loop"
fi


# - the idle task of a CPU that is busy is in a new function
# - the livepatch is disabled; the transition waits for the idle task, and is forced
# - the livepatch's module stays
# - the CPU becomes idle; the module goes

TITLE="idle task of a busy CPU"
if is_rust; then
	start_test "$TITLE"

	load_lp $MOD_PATCH
	# Until now the idle task may be in the original function.
	sleep 1
	taskset -c $CPU bash -c 'while :; do :; done' &
	BUSY=$!
	sleep 1
	write_ok $SYSFS_KLP_DIR/$MOD_PATCH/enabled 0
	check_waits
	write_ok $SYSFS_KLP_DIR/$MOD_PATCH/force 1
	wait_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_PATCH ]]' ||
		die "the forced transition does not end"
	check_in_use $MOD_PATCH
	kill $BUSY
	unload_lp $MOD_PATCH
	check_clean

	messages=$(unpatching_messages $MOD_PATCH)
	check_result "% insmod test_modules/$MOD_PATCH.ko
$(patching_messages $MOD_PATCH)
% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH/enabled
$(head -n -2 <<< "$messages")
% echo 1 > $SYSFS_KLP_DIR/$MOD_PATCH/force
livepatch: forcing remaining tasks to the patched state
$(tail -n 2 <<< "$messages")
% rmmod $MOD_PATCH
rmmod: ERROR: Module $MOD_PATCH is in use
% rmmod $MOD_PATCH"
else
	skip_case "$TITLE" "the C core never lets go of a forced livepatch"
fi

finish
