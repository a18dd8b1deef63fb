#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Transitions that one task holds up: sysfs and procfs show them, the administrator can
# reverse and force them, and the kernel must refuse other operations meanwhile.
#
# In most cases the task is a kworker in test_klp_callbacks_busy.ko.  Until the test
# releases it, it sleeps inside a function that test_klp_callbacks_demo.ko patches.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_BUSY=test_klp_callbacks_busy
MOD_DEMO=test_klp_callbacks_demo
MOD_LIVEPATCH=test_klp_livepatch
MOD_REPLACE=test_klp_atomic_replace
MOD_SLEEP=test_klp_sleep_patch
MOD_TARGET=test_klp_sleep_target

BLOCK_PARAM=/sys/module/$MOD_BUSY/parameters/block_transition

# One case checks that message, and undoes this.
hide_signaling

setup_config

[[ -e /proc/self/stack && -e /proc/self/patch_state ]] ||
	skip "no stack or patch_state in /proc/PID"

# Do not leave the CPU offline or a process asleep, even after a failure.
function cleanup_transition() {
	local pids

	pids=$(jobs -p)
	[[ -z "$pids" ]] || kill $pids 2> /dev/null
	cleanup
	bring_back
}
trap cleanup_transition EXIT INT TERM HUP

# check_still_busy() - check that the same kworker is in the function
function check_still_busy() {
	local before="$WORKER"

	wait_until find_worker && [[ "$WORKER" == "$before" ]] ||
		die "the busy kworker has left the function"
}

# start_blocked() - load the busy module and the livepatch, wait until the
#	kworker is the only task that is not patched; sets WORKER
function start_blocked() {
	start_busy
	load_lp_nowait $MOD_DEMO
	check_blocked
}

# check_blocked() - check that the transition waits for the kworker alone
function check_blocked() {
	wait_until '[[ "$(tasks_in_state 0)" == "$WORKER" ]]' ||
		die "not patched, besides kworker $WORKER: $(tasks_in_state 0)"
	[[ -n "$(tasks_in_state 1)" ]] ||
		die "no task is patched"
	[[ -z "$(tasks_in_state -1)" ]] ||
		die "not in transition: $(tasks_in_state -1)"
	check_sysfs_value "$MOD_DEMO" "transition" "1"
	check_sysfs_value "$MOD_DEMO" "enabled" "1"
	check_sysfs_value "$MOD_DEMO" "vmlinux/patched" "1"
	check_sysfs_value "$MOD_DEMO" "$MOD_BUSY/patched" "1"
	check_sysfs_value "$MOD_DEMO" "test_klp_callbacks_mod/patched" "0"
}

# release_worker() - let the kworker leave the function
function release_worker() {
	log "% echo N > $BLOCK_PARAM"
	echo N > $BLOCK_PARAM
	wait_until 'new_messages | grep -q "busymod_work_func exit"' ||
		die "the busy kworker does not stop"
}

# wait_complete(modname) - wait for the end of a patching transition
#	modname - livepatch in transition
function wait_complete() {
	local mod="$1"

	wait_until 'grep -q "^0$" $SYSFS_KLP_DIR/$mod/transition' ||
		die "failed to complete transition"
	[[ -z "$(tasks_in_state 0)$(tasks_in_state 1)" ]] ||
		die "still in transition: $(tasks_in_state 0) $(tasks_in_state 1)"
	check_sysfs_value "$mod" "enabled" "1"
}

# check_absent(modname) - die if a module is loaded or its livepatch in sysfs
#	modname - module that was refused or removed
function check_absent() {
	local mod="$1"

	grep -q "^$mod " /proc/modules &&
		die "module $mod is still loaded"
	[[ ! -e "$SYSFS_KLP_DIR/$mod" ]] ||
		die "$mod is still in sysfs"
}

# check_ended() - die if anything of a livepatch is left, or if a task is still in a
#	transition
function check_ended() {
	local left

	check_clean
	left=$(tasks_in_state 0)$(tasks_in_state 1)
	[[ -z "$left" ]] ||
		die "left in transition: $left"
}

# The kernel's messages in the stages that the cases share, and those of another
# livepatch, which no task holds up
START="% insmod test_modules/$MOD_BUSY.ko block_transition=Y
$MOD_BUSY: ${MOD_BUSY}_init
$MOD_BUSY: busymod_work_func enter
% insmod test_modules/$MOD_DEMO.ko
livepatch: enabling patch '$MOD_DEMO'
livepatch: '$MOD_DEMO': initializing patching transition
$MOD_DEMO: pre_patch_callback: vmlinux
$MOD_DEMO: pre_patch_callback: $MOD_BUSY -> [MODULE_STATE_LIVE] Normal state
livepatch: '$MOD_DEMO': starting patching transition"
RELEASE="% echo N > $BLOCK_PARAM
$MOD_BUSY: busymod_work_func exit"
COMPLETE="livepatch: '$MOD_DEMO': completing patching transition
$MOD_DEMO: post_patch_callback: vmlinux
$MOD_DEMO: post_patch_callback: $MOD_BUSY -> [MODULE_STATE_LIVE] Normal state
livepatch: '$MOD_DEMO': patching complete"
REVERSE="% echo 0 > $SYSFS_KLP_DIR/$MOD_DEMO/enabled
livepatch: '$MOD_DEMO': reversing transition from patching to unpatching
livepatch: '$MOD_DEMO': starting unpatching transition"
UNPATCHED="livepatch: '$MOD_DEMO': completing unpatching transition
$MOD_DEMO: post_unpatch_callback: vmlinux
$MOD_DEMO: post_unpatch_callback: $MOD_BUSY -> [MODULE_STATE_LIVE] Normal state
livepatch: '$MOD_DEMO': unpatching complete"
DISABLE="% echo 0 > $SYSFS_KLP_DIR/$MOD_DEMO/enabled
livepatch: '$MOD_DEMO': initializing unpatching transition
$MOD_DEMO: pre_unpatch_callback: vmlinux
$MOD_DEMO: pre_unpatch_callback: $MOD_BUSY -> [MODULE_STATE_LIVE] Normal state
livepatch: '$MOD_DEMO': starting unpatching transition
$UNPATCHED"
OTHER="% insmod test_modules/$MOD_LIVEPATCH.ko
$(patching_messages $MOD_LIVEPATCH)"
OTHER_GONE="% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$(unpatching_messages $MOD_LIVEPATCH)
% rmmod $MOD_LIVEPATCH"
UNLOAD="% rmmod $MOD_DEMO
% rmmod $MOD_BUSY
$MOD_BUSY: ${MOD_BUSY}_exit"

# end_enabled() - disable the livepatch, unload both modules
function end_enabled() {
	disable_lp $MOD_DEMO
	unload_lp $MOD_DEMO
	unload_mod $MOD_BUSY
	check_ended
}


# - hold the transition up
# - see in sysfs and in /proc/PID/patch_state that it waits for one task
# - the livepatch cannot be unloaded meanwhile
# - release the task, the transition completes

start_test "blocked transition"

start_blocked
log "% rmmod $MOD_DEMO"
log "$(rmmod $MOD_DEMO 2>&1)"
check_blocked
release_worker
wait_complete $MOD_DEMO
end_enabled

check_result "$START
% rmmod $MOD_DEMO
rmmod: ERROR: Module $MOD_DEMO is in use
$RELEASE
$COMPLETE
$DISABLE
$UNLOAD"


# - hold the transition up and reverse it; no task holds the reversed transition up
# - the busy task never leaves the function meanwhile

start_test "reversed transition"

start_blocked
disable_lp $MOD_DEMO
check_ended
unload_lp $MOD_DEMO
check_still_busy
release_worker
unload_mod $MOD_BUSY

check_result "$START
$REVERSE
$UNPATCHED
% rmmod $MOD_DEMO
$RELEASE
% rmmod $MOD_BUSY
$MOD_BUSY: ${MOD_BUSY}_exit"


# - a reader sleeps in the original function and holds up the patching, another reader
#   sleeps in the new function and holds up the unpatching
# - reverse the transition several times: it waits in each direction
# - the transition completes, in either direction, when the reader that holds it up is
#   gone
# - the other reader does not hold it up

# check_held_up(pid, state) - check that the transition waits for a process
#	pid - the only process that holds it up
#	state - its patch_state, 0 when patching, 1 when unpatching
function check_held_up() {
	local pid="$1"; shift
	local state="$1"

	wait_until '[[ "$(tasks_in_state $state)" == "$pid" ]]' ||
		die "in state $state, besides $pid: $(tasks_in_state "$state")"
	check_sysfs_value "$MOD_SLEEP" "transition" "1"
	check_sysfs_value "$MOD_SLEEP" "enabled" "$((1 - state))"
	check_sysfs_value "$MOD_SLEEP" "$MOD_TARGET/patched" "1"
}

# start_reversals() - hold up the patching and reverse it twice; sets IN_OLD and
#	IN_NEW to the processes in the original and in the new function
function start_reversals() {
	load_mod $MOD_TARGET
	start_sleeper test_klp_sleep test_klp_sleep_show
	IN_OLD=$SLEEPER
	load_lp_nowait $MOD_SLEEP
	check_held_up "$IN_OLD" 0
	start_sleeper test_klp_sleep livepatch_test_klp_sleep_show
	IN_NEW=$SLEEPER

	write_ok "$SYSFS_KLP_DIR/$MOD_SLEEP/enabled" 0
	check_held_up "$IN_NEW" 1
	write_ok "$SYSFS_KLP_DIR/$MOD_SLEEP/enabled" 1
	check_held_up "$IN_OLD" 0
}
TO_UNPATCHING="% echo 0 > $SYSFS_KLP_DIR/$MOD_SLEEP/enabled
livepatch: '$MOD_SLEEP': reversing transition from patching to unpatching
livepatch: '$MOD_SLEEP': starting unpatching transition"
START_REVERSALS="% insmod test_modules/$MOD_TARGET.ko
% insmod test_modules/$MOD_SLEEP.ko
livepatch: enabling patch '$MOD_SLEEP'
livepatch: '$MOD_SLEEP': initializing patching transition
livepatch: '$MOD_SLEEP': starting patching transition
$TO_UNPATCHING
% echo 1 > $SYSFS_KLP_DIR/$MOD_SLEEP/enabled
livepatch: '$MOD_SLEEP': reversing transition from unpatching to patching
livepatch: '$MOD_SLEEP': starting patching transition"
SLEEP_UNPATCHED="livepatch: '$MOD_SLEEP': completing unpatching transition
livepatch: '$MOD_SLEEP': unpatching complete
% rmmod $MOD_SLEEP"

start_test "transition reversed three times"

start_reversals
write_ok "$SYSFS_KLP_DIR/$MOD_SLEEP/enabled" 0
check_held_up "$IN_NEW" 1
end_processes "$IN_NEW"
wait_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_SLEEP" ]]' ||
	die "the unpatching transition does not end"
check_ended
unload_lp $MOD_SLEEP
end_processes "$IN_OLD"
unload_mod $MOD_TARGET

check_result "$START_REVERSALS
$TO_UNPATCHING
$SLEEP_UNPATCHED
% rmmod $MOD_TARGET"

start_test "transition reversed twice, and an unpatching that waits"

start_reversals
end_processes "$IN_OLD"
wait_complete $MOD_SLEEP
write_ok "$SYSFS_KLP_DIR/$MOD_SLEEP/enabled" 0
check_held_up "$IN_NEW" 1
end_processes "$IN_NEW"
wait_until '[[ ! -e "$SYSFS_KLP_DIR/$MOD_SLEEP" ]]' ||
	die "the unpatching transition does not end"
check_ended
unload_lp $MOD_SLEEP
unload_mod $MOD_TARGET

check_result "$START_REVERSALS
livepatch: '$MOD_SLEEP': completing patching transition
livepatch: '$MOD_SLEEP': patching complete
% echo 0 > $SYSFS_KLP_DIR/$MOD_SLEEP/enabled
livepatch: '$MOD_SLEEP': initializing unpatching transition
livepatch: '$MOD_SLEEP': starting unpatching transition
$SLEEP_UNPATCHED
% rmmod $MOD_TARGET"


# - enable a livepatch
# - hold the transition of a second livepatch up
# - a third livepatch is refused, cumulative or not, and leaves nothing
# - the first livepatch cannot be disabled, enabled or forced meanwhile

start_test "one transition at a time"

load_lp $MOD_LIVEPATCH
start_blocked
for replace in 0 1; do
	load_failing_mod $MOD_REPLACE replace=$replace
	check_absent $MOD_REPLACE
	check_sysfs_value "$MOD_LIVEPATCH" "enabled" "1"
done
write_failing "$SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled" "0"
write_failing "$SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled" "1"
write_failing "$SYSFS_KLP_DIR/$MOD_LIVEPATCH/force" "1"
check_sysfs_value "$MOD_LIVEPATCH" "enabled" "1"
check_sysfs_value "$MOD_LIVEPATCH" "transition" "0"
grep -q "$MOD_LIVEPATCH: this has been live patched" /proc/cmdline ||
	die "/proc/cmdline is not patched any more"
check_blocked
release_worker
wait_complete $MOD_DEMO
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH
end_enabled

check_result "$OTHER
$START
% insmod test_modules/$MOD_REPLACE.ko replace=0
insmod: ERROR: could not insert module test_modules/$MOD_REPLACE.ko: Device or resource busy
% insmod test_modules/$MOD_REPLACE.ko replace=1
insmod: ERROR: could not insert module test_modules/$MOD_REPLACE.ko: Device or resource busy
% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled: Device or resource busy
% echo 1 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled: Invalid argument
% echo 1 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/force
$SYSFS_KLP_DIR/$MOD_LIVEPATCH/force: Invalid argument
$RELEASE
$COMPLETE
$OTHER_GONE
$DISABLE
$UNLOAD"


# - a patched process forks during the transition: the child is patched
# - in the end the child has left the transition like all other tasks
#
# The kernel copies the parent's state to the child before it calls the core.  So only
# KUnit tests and test-torture.sh notice a core that does nothing there.

start_test "fork during a transition"

start_blocked
[[ "$(cat /proc/$$/patch_state)" == "1" ]] ||
	die "the shell is not patched"
sleep infinity &
child=$!
state=$(cat /proc/$child/patch_state)
[[ "$state" == "1" ]] ||
	die "patch_state of the new process is $state"
check_blocked
release_worker
wait_complete $MOD_DEMO
state=$(cat /proc/$child/patch_state)
[[ "$state" == "-1" ]] ||
	die "patch_state of the new process is $state after the transition"
end_processes $child
end_enabled

check_result "$START
$RELEASE
$COMPLETE
$DISABLE
$UNLOAD"


# - write 0 to force: nothing happens
# - write 1 to force: the transition ends although a task is still in the
#   original function
# - after a forced patching, the livepatch can be disabled and unloaded like any other

start_test "forced transition"

start_blocked
log "% echo 0 > $SYSFS_KLP_DIR/$MOD_DEMO/force"
echo 0 > "$SYSFS_KLP_DIR/$MOD_DEMO/force"
check_blocked
log "% echo 1 > $SYSFS_KLP_DIR/$MOD_DEMO/force"
echo 1 > "$SYSFS_KLP_DIR/$MOD_DEMO/force"
wait_complete $MOD_DEMO
check_still_busy
write_failing "$SYSFS_KLP_DIR/$MOD_DEMO/force" "1"
release_worker
end_enabled

check_result "$START
% echo 0 > $SYSFS_KLP_DIR/$MOD_DEMO/force
% echo 1 > $SYSFS_KLP_DIR/$MOD_DEMO/force
livepatch: forcing remaining tasks to the patched state
$COMPLETE
% echo 1 > $SYSFS_KLP_DIR/$MOD_DEMO/force
$SYSFS_KLP_DIR/$MOD_DEMO/force: Invalid argument
$RELEASE
$DISABLE
$UNLOAD"


# - a CPU is offline: a transition does not wait for its idle task
# - a CPU goes offline, and comes back, in the middle of a transition

if can_offline; then
	start_test "transitions with an offline CPU"

	take_offline
	load_lp $MOD_LIVEPATCH
	disable_lp $MOD_LIVEPATCH
	unload_lp $MOD_LIVEPATCH
	load_lp $MOD_LIVEPATCH
	bring_back
	taskset -c 1 grep -q "$MOD_LIVEPATCH: this has been live patched" /proc/cmdline ||
		die "/proc/cmdline is not patched on CPU 1"
	disable_lp $MOD_LIVEPATCH
	unload_lp $MOD_LIVEPATCH
	check_ended

	expected="$OTHER
$OTHER_GONE"
	check_result "$expected
$expected"

	start_test "CPU taken offline during a transition"

	start_blocked
	take_offline
	check_blocked
	release_worker
	wait_complete $MOD_DEMO
	bring_back
	end_enabled

	check_result "$START
$RELEASE
$COMPLETE
$DISABLE
$UNLOAD"

	start_test "CPU taken online during a transition"

	take_offline
	start_blocked
	bring_back
	check_blocked
	release_worker
	wait_complete $MOD_DEMO
	end_enabled

	check_result "$START
$RELEASE
$COMPLETE
$DISABLE
$UNLOAD"
else
	for title in "transitions with an offline CPU" "CPU taken offline during a transition" \
		"CPU taken online during a transition"; do
		skip_case "$title" "CPU 1 cannot be taken offline"
	done
fi


# - hold the transition up until the kernel signals the remaining tasks, and for 20 seconds
#   more: it logs that once
# - the kworker stays in the function

unset -f dmesg
start_test "signal to the remaining tasks"

start_blocked
wait_until 'new_messages | grep -q "livepatch: signaling remaining tasks"' ||
	die "the remaining tasks were not signaled"
# The kernel signals them again after 15 seconds.
sleep 20
check_blocked
release_worker
wait_complete $MOD_DEMO
end_enabled

check_result "$START
livepatch: signaling remaining tasks
$RELEASE
$COMPLETE
$DISABLE
$UNLOAD"

finish
