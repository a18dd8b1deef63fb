#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tasks that sleep in the new function of a livepatch, in the place of the original
# one, and will return to its caller.  The core must see the caller on their stacks
# as it would without the livepatch.  On powerpc, the return address is elsewhere.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-leave.sh

OTHER_PARAM=/sys/module/$MOD_OTHER/parameters/hold

setup_leave

is_rust || [[ "$(uname -m)" != "ppc64le" ]] ||
	skip "on powerpc, the C core does not see the callers of redirected functions"


# - a reader sleeps in the new function, which test_klp_leave_outer() has called
# - another livepatch changes test_klp_leave_outer(): the transition waits
# - the reader returns; the transition ends

start_test "caller of a redirected function is patched"

load_mod $MOD_TARGET
load_lp $MOD_PATCH
start_reader
await_reader leave_patch_wait
load_lp_nowait $MOD_OTHER outer=Y
stays "$SYSFS_KLP_DIR/$MOD_OTHER/transition" 1 ||
	die "the transition does not wait for a task that returns to test_klp_leave_outer()"
wait_until '[[ "$(tasks_in_state 0)" == "$READER" ]]' ||
	die "not patched, besides $READER: $(tasks_in_state 0)"
write_ok $HOLD_PARAM N
end_reader "new a
done"
loop_until 'grep -q "^0$" $SYSFS_KLP_DIR/$MOD_OTHER/transition' ||
	die "failed to complete transition"
end_other
disable_lp $MOD_PATCH
unload_lp $MOD_PATCH
check_ended

messages=$(other_messages outer=Y)
check_result "$TARGET
$(patch_messages)
$(head -n -2 <<< "$messages")
% echo N > $HOLD_PARAM
$(tail -n 2 <<< "$messages")
$(other_gone_messages)
$PATCH_GONE
% rmmod $MOD_PATCH
$TARGET_GONE"


# - a reader sleeps in the new test_klp_leave_walk() of another livepatch, which
#   leave_patch_inside() has called; none of the functions that the first livepatch
#   has changed are on its stack
# - the first livepatch is disabled; its module stays
# - the reader returns to the code of this module; the module goes

title="code of a livepatch calls a redirected function"
if is_rust; then
	start_test "$title"

	load_mod $MOD_TARGET
	load_lp $MOD_PATCH reach=inside hold=N
	load_lp $MOD_OTHER walk=Y
	start_reader
	await_reader leave_other_walk leave_patch_jump_inside
	disable_lp $MOD_PATCH
	check_in_use $MOD_PATCH
	write_ok $OTHER_PARAM N
	end_reader "other walk"
	unload_lp $MOD_PATCH
	end_other
	check_ended

	check_result "$TARGET
$(patch_messages reach=inside hold=N)
$(other_messages walk=Y)
$PATCH_GONE
% rmmod $MOD_PATCH
rmmod: ERROR: Module $MOD_PATCH is in use
% echo N > $OTHER_PARAM
% rmmod $MOD_PATCH
$(other_gone_messages)
$TARGET_GONE"
else
	skip_case "$title" "the C core does not survive it"
fi

finish
