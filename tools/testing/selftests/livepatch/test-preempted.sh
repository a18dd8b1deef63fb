#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Livepatches that end while a task is preempted in their code.  The task's stack
# shows none of the functions that they have changed: the new function has reached
# the code by a sibling call.  Their modules must stay until the task has left the
# code, whether all of the functions leave ftrace, one of them, or none.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-leave.sh

setup_leave

skip_unless_preemptible
sees_preempted ||
	skip "the unwinder cannot pass the frame of an interrupt"

# The last CPU is for tasks that do not sleep.
LAST_CPU=$(online_cpus | tail -n 1)
BUSY_PIDS=

# start_busy_loops() - keep the last CPU busy, so that the scheduler preempts a
#	reader that spins there
function start_busy_loops() {
	for _ in 1 2; do
		taskset -c $LAST_CPU bash -c 'while :; do :; done' &
		BUSY_PIDS+=" $!"
	done
}

# end_busy_loops() - end these processes
function end_busy_loops() {
	end_processes $BUSY_PIDS
	BUSY_PIDS=
}

# - a reader spins in code of the livepatch, and is preempted there
# - the livepatch ends; the process that ends it may have to wait for the reader,
#   and the module stays in any case
# - the reader leaves the code; the module goes

# start_preempted(params) - load the livepatch, wait until a reader spins in it
#	params - of the other livepatch, which is then loaded second; without
#	         parameters, it is not loaded
function start_preempted() {
	load_mod $MOD_TARGET
	load_lp $MOD_PATCH reach=jump spin=Y
	[[ $# -eq 0 ]] || load_lp $MOD_OTHER "$@"
	start_busy_loops
	start_reader $LAST_CPU
	await_reader leave_patch_wait leave_patch_jump
}

# end_preempted(text) - wait until no task holds the transition up any more, check that
#	the module stays, let the reader go on, and wait for the end of the livepatch.
#	A process in the background disables or replaces the livepatch.
#	text - the core's message at the end of the transition
function end_preempted() {
	local text="$1"
	local pid=$!

	wait_until 'new_messages | grep -qF "livepatch: $text"' ||
		die "no message: $text"
	check_held $MOD_PATCH
	# This can be before or after the last message, depending on the core.
	echo N > $HOLD_PARAM
	end_reader "new a
done"
	end_busy_loops
	wait $pid
	loop_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_PATCH" ]]' ||
		die "livepatch $MOD_PATCH does not end"
	unload_lp $MOD_PATCH
}

# end_by_disabling() - end the livepatch by disabling it
function end_by_disabling() {
	log "% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH/enabled"
	echo 0 > "$SYSFS_KLP_DIR/$MOD_PATCH/enabled" &
	end_preempted "'$MOD_PATCH': completing unpatching transition"
}

# end_by_replacing(params) - end the livepatch by replacing it
#	params - of the livepatch that replaces it
function end_by_replacing() {
	load_lp_nowait $MOD_OTHER "$@" &
	end_preempted "'$MOD_OTHER': completing patching transition"
}

SPINNING="$TARGET
$(patch_messages reach=jump spin=Y)"


start_test "tail call, preempted"

start_preempted
end_by_disabling
check_ended

check_result "$SPINNING
$PATCH_GONE
% rmmod $MOD_PATCH
$TARGET_GONE"

# Another livepatch stays on one of the two functions.
start_test "tail call, preempted, one of two livepatches disabled"

start_preempted replace=N
end_by_disabling
end_other
check_ended

check_result "$SPINNING
$(other_messages replace=N)
$PATCH_GONE
% rmmod $MOD_PATCH
$(other_gone_messages)
$TARGET_GONE"

start_test "tail call, preempted, one of two functions replaced"

start_preempted
end_by_replacing replace=Y
end_other
check_ended

check_result "$SPINNING
$(other_messages replace=Y)
% rmmod $MOD_PATCH
$(other_gone_messages)
$TARGET_GONE"

title="tail call, preempted, all functions replaced"
if is_rust; then
	start_test "$title"

	start_preempted
	end_by_replacing both=Y replace=Y
	end_other
	check_ended

	check_result "$SPINNING
$(other_messages both=Y replace=Y)
% rmmod $MOD_PATCH
$(other_gone_messages)
$TARGET_GONE"
else
	skip_case "$title" "the C core does not survive it"
fi

finish
