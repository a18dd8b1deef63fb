#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Functions jump to their replacements between transitions, and call the ftrace
# handler during a transition.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-jump.sh

MOD_LIVEPATCH=test_klp_livepatch
MOD_REPLACE=test_klp_atomic_replace
MOD_BUSY=test_klp_callbacks_busy
MOD_DEMO=test_klp_callbacks_demo
MOD_SLEEP=test_klp_sleep_patch
MOD_SLEEP_TARGET=test_klp_sleep_target
MOD_PATCH=test_klp_mod_patch
MOD_TARGET=test_klp_mod_target
MOD_SEVERAL=test_klp_oom
MOD_ODD=test_klp_odd

BLOCK_PARAM=/sys/module/$MOD_BUSY/parameters/block_transition
NEW_CMDLINE=livepatch_cmdline_proc_show
NEW_SLEEP=livepatch_test_klp_sleep_show

function cleanup_blocked() {
	[[ ! -e $BLOCK_PARAM ]] || echo N > $BLOCK_PARAM
	cleanup_jump
}

setup_config
hide_signaling
setup_jump
trap cleanup_blocked EXIT INT TERM HUP

[[ -e /proc/self/stack && -e /proc/self/patch_state ]] ||
	skip "no stack or patch_state in /proc/PID"

LOADED="% insmod test_modules/$MOD_LIVEPATCH.ko
$(patching_messages $MOD_LIVEPATCH)"
UNLOADED="% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$(unpatching_messages $MOD_LIVEPATCH)
% rmmod $MOD_LIVEPATCH"

# wait_complete(modname) - wait for the end of a patching transition
#	modname - livepatch in transition
function wait_complete() {
	local mod="$1"

	wait_until 'grep -q "^0$" $SYSFS_KLP_DIR/$mod/transition' ||
		die "failed to complete transition"
}

# wait_gone(modname) - wait for the end of an unpatching transition
#	modname - livepatch in transition
function wait_gone() {
	local mod="$1"

	wait_until '[[ ! -e "$SYSFS_KLP_DIR/$mod" ]]' ||
		die "the unpatching transition of $mod does not end"
}

# wait_held_up(pid, state) - wait until only this process holds the transition up
#	pid - the process
#	state - its patch_state, 0 when patching, 1 when unpatching
function wait_held_up() {
	local pid="$1"; shift
	local state="$1"

	wait_until '[[ "$(tasks_in_state $state)" == "$pid" ]]' ||
		die "in state $state, besides $pid: $(tasks_in_state "$state")"
}

# unload(modname) - disable and unload a livepatch
function unload() {
	disable_lp "$1"
	unload_lp "$1"
}

# start_blocked() - load the busy module and the livepatch, wait until the kworker
#	is the only task that is not patched; sets WORKER
function start_blocked() {
	start_busy
	load_lp_nowait $MOD_DEMO
	wait_held_up "$WORKER" 0
}

# release_worker() - let the kworker leave the function
function release_worker() {
	log "% echo N > $BLOCK_PARAM"
	echo N > $BLOCK_PARAM
}


# - the function jumps when the transition is complete, and has its original code when
#   the livepatch is disabled

start_test "jump of a settled function"

check_original cmdline_proc_show
load_lp $MOD_LIVEPATCH
check_jumps cmdline_proc_show $NEW_CMDLINE
check_patched cmdline $MOD_LIVEPATCH
disable_lp $MOD_LIVEPATCH
check_original cmdline_proc_show
check_unpatched cmdline
unload_lp $MOD_LIVEPATCH
check_clean

check_result "$LOADED
$UNLOADED"


# - one livepatch replaces another: the function that only the old one changes has its
#   original code, and the new one's function jumps

start_test "jump after a replacement"

load_lp $MOD_LIVEPATCH
check_jumps cmdline_proc_show $NEW_CMDLINE
load_lp $MOD_REPLACE replace=1
loop_until '[[ "$(cat /sys/module/$MOD_LIVEPATCH/refcnt)" == "0" ]]' ||
	die "the replaced livepatch is held"
check_original cmdline_proc_show
check_unpatched cmdline
check_jumps meminfo_proc_show livepatch_meminfo_proc_show
check_patched meminfo $MOD_REPLACE
unload_lp $MOD_LIVEPATCH
disable_lp $MOD_REPLACE
check_original meminfo_proc_show
unload_lp $MOD_REPLACE
check_clean

check_result "$LOADED
% insmod test_modules/$MOD_REPLACE.ko replace=1
$(patching_messages $MOD_REPLACE)
% rmmod $MOD_LIVEPATCH
% echo 0 > $SYSFS_KLP_DIR/$MOD_REPLACE/enabled
$(unpatching_messages $MOD_REPLACE)
% rmmod $MOD_REPLACE"


# - a task holds the transition up: the function calls the handler until the task has
#   left it
# - the function of another livepatch jumps meanwhile

start_test "no jump during a transition"

load_lp $MOD_LIVEPATCH
start_blocked
check_handled busymod_work_func
check_jumps cmdline_proc_show $NEW_CMDLINE
release_worker
wait_complete $MOD_DEMO
check_jumps busymod_work_func patched_work_func
unload $MOD_DEMO
check_original busymod_work_func
check_jumps cmdline_proc_show $NEW_CMDLINE
unload_target $MOD_BUSY
unload $MOD_LIVEPATCH
end_test


# - a transition is forced: the function jumps although a task is in the original
#   function

start_test "jump after a forced transition"

start_blocked
check_handled busymod_work_func
write_ok "$SYSFS_KLP_DIR/$MOD_DEMO/force" 1
wait_complete $MOD_DEMO
check_jumps busymod_work_func patched_work_func
wait_until find_worker ||
	die "the busy kworker has left the function"
release_worker
unload $MOD_DEMO
check_original busymod_work_func
unload_target $MOD_BUSY
end_test


# - a reader in the original function holds up the patching, which is reversed
# - a reader in the new function holds up the unpatching, which is reversed, too: the
#   function jumps in the end

start_test "jump after a reversed transition"

load_mod $MOD_SLEEP_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
load_lp_nowait $MOD_SLEEP
wait_held_up $SLEEPER 0
check_handled test_klp_sleep_show
write_ok "$SYSFS_KLP_DIR/$MOD_SLEEP/enabled" 0
wait_gone $MOD_SLEEP
check_original test_klp_sleep_show
unload_lp $MOD_SLEEP
end_processes $SLEEPER

load_lp $MOD_SLEEP
check_jumps test_klp_sleep_show $NEW_SLEEP
start_sleeper test_klp_sleep $NEW_SLEEP
write_ok "$SYSFS_KLP_DIR/$MOD_SLEEP/enabled" 0
wait_held_up $SLEEPER 1
check_handled test_klp_sleep_show
write_ok "$SYSFS_KLP_DIR/$MOD_SLEEP/enabled" 1
wait_complete $MOD_SLEEP
check_jumps test_klp_sleep_show $NEW_SLEEP
end_processes $SLEEPER
unload $MOD_SLEEP
check_original test_klp_sleep_show
unload_target $MOD_SLEEP_TARGET
end_test


# - a function of a module jumps whenever the module is loaded

start_test "jump of a module's function"

load_lp $MOD_PATCH
for i in 1 2; do
	load_mod $MOD_TARGET
	check_jumps test_klp_mod_target_show livepatch_mod_target_show
	check_patched $MOD_TARGET $MOD_PATCH
	unload_target $MOD_TARGET
	[[ -z "$(patched_functions)" ]] ||
		die "a function of a module that is gone: $(patched_functions)"
done
unload $MOD_PATCH
end_test


# - two livepatches change the function: it jumps to the later one's function whenever
#   the module is loaded, and to the other one's when the later livepatch is gone

start_test "two livepatches of a module's function"

load_lp $MOD_PATCH
load_lp $MOD_SEVERAL target=1
for i in 1 2; do
	load_mod $MOD_TARGET
	check_jumps test_klp_mod_target_show new_show
	check_patched $MOD_TARGET $MOD_SEVERAL
	[[ $i -ne 1 ]] || unload_target $MOD_TARGET
done
unload $MOD_SEVERAL
for i in 1 2; do
	check_jumps test_klp_mod_target_show livepatch_mod_target_show
	check_patched $MOD_TARGET $MOD_PATCH
	unload_target $MOD_TARGET
	load_mod $MOD_TARGET
done
unload $MOD_PATCH
check_original test_klp_mod_target_show
check_unpatched $MOD_TARGET
unload_target $MOD_TARGET
end_test


# - a new function is at an odd address: ftrace cannot let a function jump there, so
#   that the function calls the handler.  The livepatch's other function jumps.

start_test "new function at an odd address"

load_lp $MOD_ODD
check_handled cmdline_proc_show
check_patched cmdline $MOD_ODD
check_jumps version_proc_show livepatch_even_show
check_patched version $MOD_ODD
disable_lp $MOD_ODD
for file in cmdline version; do
	check_original ${file}_proc_show
	check_unpatched $file
done
unload_lp $MOD_ODD
end_test


# - two functions enter ftrace together, and each belongs to another livepatch in the
#   end: one leaves ftrace, and the other does not stop jumping

start_test "jump of a function that another leaves behind"

load_lp $MOD_ODD
load_lp $MOD_SEVERAL
check_jumps loadavg_proc_show new_show
check_jumps version_proc_show new_show
load_lp $MOD_LIVEPATCH
unload $MOD_ODD
check_jumps cmdline_proc_show $NEW_CMDLINE
check_patched cmdline $MOD_LIVEPATCH
unload $MOD_LIVEPATCH
check_original cmdline_proc_show
check_unpatched cmdline
for file in loadavg version; do
	check_jumps ${file}_proc_show new_show
	check_patched $file $MOD_SEVERAL
done
unload $MOD_SEVERAL
for file in loadavg version; do
	check_original ${file}_proc_show
	check_unpatched $file
done
end_test

finish
