#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Transitions on a machine that is busy: every CPU has a task that does not sleep, and
# that never leaves the kernel, or never enters it.
#
# The Rust core looks at such tasks while a stopper thread has their CPU, and so a
# transition ends soon.  The core leaves CPUs alone that must not be disturbed.  The C
# core waits until it finds the tasks off their CPUs by chance.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_TARGET=test_klp_spin_target
MOD_PATCH=test_klp_spin_patch
MOD_LIVEPATCH=test_klp_livepatch

INSIDE=/sys/module/$MOD_TARGET/parameters/inside
UNDISTURBED=/sys/module/livepatch/parameters/undisturbed_cpus
# The part of CPU 1's time that real-time tasks leave for other tasks.
SHARE=$SYSFS_DEBUG_DIR/sched/fair_server/cpu1/runtime

# A core that interrupts no task may signal tasks here, after 15 seconds.
hide_signaling

setup_config
share=
[[ ! -e $UNDISTURBED ]] || undisturbed=$(cat $UNDISTURBED)
# By default, the core does not disturb the CPUs of nohz_full=.
[[ ! -e $UNDISTURBED ]] || echo > $UNDISTURBED

# Only an interrupt takes a CPU from a task that never leaves the kernel.
sees_preempted && preempted=y || preempted=
UNWINDER="the unwinder cannot pass the frame of an interrupt"

# Restore the settings, and let the threads leave the function, even after a failure.
function cleanup_busy() {
	local pids

	pids=$(jobs -p)
	[[ -z "$pids" ]] || kill $pids 2> /dev/null
	[[ ! -e $UNDISTURBED ]] || echo "$undisturbed" > $UNDISTURBED
	[[ -z "$share" ]] || echo $share > $SHARE
	[[ ! -e $INSIDE ]] || echo N > $INSIDE
	cleanup
}
trap cleanup_busy EXIT INT TERM HUP

# signaled() - whether the core has signaled tasks since start_test
function signaled() (
	unset -f dmesg
	new_messages | grep -q 'livepatch: signaling remaining tasks'
)

# interrupts() - whether the core interrupts tasks that run.  Some kernels tell how they
#	are configured.
function interrupts() {
	is_rust &&
		! zgrep -qx CONFIG_LIVEPATCH_RUST_RETRY_EACH_SECOND=y /proc/config.gz 2> /dev/null
}

# check_soon() - die if a core that interrupts tasks has waited for so long that it has
#	signaled them
function check_soon() {
	! interrupts || ! signaled ||
		die "tasks were signaled"
}

# check_waits(modname) - die if a transition ends within two seconds
function check_waits() {
	local end=$((SECONDS + 2))

	while [[ $SECONDS -lt $end ]]; do
		! is_over $1 || die "the transition of $1 is over"
		sleep $RETRY_INTERVAL
	done
}

PATCHED="% insmod test_modules/$MOD_PATCH.ko
$(patching_messages $MOD_PATCH)"
UNPATCHED="% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH/enabled
$(unpatching_messages $MOD_PATCH)
% rmmod $MOD_PATCH
% rmmod $MOD_TARGET"


if [[ -z $preempted ]]; then
	skip_case "kernel threads that never sleep" "$UNWINDER"
	skip_case "kernel threads that never sleep, in the function" "$UNWINDER"
else

# - every CPU has a kernel thread that never sleeps, in no function that changes

start_test "kernel threads that never sleep"

load_mod $MOD_TARGET
load_lp $MOD_PATCH
check_soon
disable_lp $MOD_PATCH
unload_lp $MOD_PATCH
unload_mod $MOD_TARGET
check_clean

check_result "% insmod test_modules/$MOD_TARGET.ko
$PATCHED
$UNPATCHED"


# - the threads are in a function that changes, and the transition ends when they have
#   left it

start_test "kernel threads that never sleep, in the function"

load_mod $MOD_TARGET inside=1
load_lp_nowait $MOD_PATCH
check_waits $MOD_PATCH
log "% echo N > $INSIDE"
echo N > $INSIDE
wait_until is_over $MOD_PATCH ||
	die "the transition is not over"
check_soon
disable_lp $MOD_PATCH
unload_lp $MOD_PATCH
unload_mod $MOD_TARGET
check_clean

check_result "% insmod test_modules/$MOD_TARGET.ko inside=1
% insmod test_modules/$MOD_PATCH.ko
livepatch: enabling patch '$MOD_PATCH'
livepatch: '$MOD_PATCH': initializing patching transition
livepatch: '$MOD_PATCH': starting patching transition
% echo N > $INSIDE
livepatch: '$MOD_PATCH': completing patching transition
livepatch: '$MOD_PATCH': patching complete
$UNPATCHED"

fi


# - every CPU has a process that makes no system call

start_test "processes that make no system call"

for cpu in $(online_cpus); do
	taskset -c $cpu bash -c 'while :; do :; done' &
done
load_lp $MOD_LIVEPATCH
check_soon
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH
end_processes $(jobs -p)
check_clean

check_result "% insmod test_modules/$MOD_LIVEPATCH.ko
$(patching_messages $MOD_LIVEPATCH)
% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$(unpatching_messages $MOD_LIVEPATCH)
% rmmod $MOD_LIVEPATCH"


# - a real-time thread never leaves CPU 1, which the core must not disturb, as the
#   administrator has set undisturbed_cpus: the transition waits
# - the administrator takes the setting back: only a stopper thread can take the CPU from
#   the thread, which switches, and then the transition ends

# undisturbed(title) - run this case
#	title - its name
#
# With PREEMPT_RT, threads serve the timers of each CPU, and get no time beside the
# real-time thread.  So this script, which sleeps, moves to CPU 0.  As these threads
# stay runnable, no grace period of RCU Tasks ends, and ftrace needs one when a function
# leaves it.  So the thread gives up its priority before the livepatch is disabled.
function undisturbed() {
	start_test "$1"

	taskset -pc 0 $$ > /dev/null
	load_mod $MOD_TARGET fifo_cpu=1
	echo 1 > $UNDISTURBED
	[[ "$(cat $UNDISTURBED)" == 1 ]] ||
		die "undisturbed_cpus is $(cat $UNDISTURBED)"
	share=$(cat $SHARE)
	echo 0 > $SHARE
	load_lp_nowait $MOD_PATCH
	check_waits $MOD_PATCH
	echo > $UNDISTURBED
	wait_until '[[ -z "$(tasks_in_state 0)" ]]' ||
		die "not patched: $(tasks_in_state 0)"
	echo $share > $SHARE
	wait_until is_over $MOD_PATCH ||
		die "the transition is not over"
	check_soon
	chrt --other -p 0 $(pgrep -x klp_spin/1) ||
		die "the thread keeps its priority"
	disable_lp $MOD_PATCH
	unload_lp $MOD_PATCH
	unload_mod $MOD_TARGET
	check_clean

	check_result "% insmod test_modules/$MOD_TARGET.ko fifo_cpu=1
% insmod test_modules/$MOD_PATCH.ko
livepatch: enabling patch '$MOD_PATCH'
livepatch: '$MOD_PATCH': initializing patching transition
livepatch: '$MOD_PATCH': starting patching transition
livepatch: '$MOD_PATCH': completing patching transition
livepatch: '$MOD_PATCH': patching complete
$UNPATCHED"
}

title="CPU that must not be disturbed"
if [[ -z $preempted ]]; then
	skip_case "$title" "$UNWINDER"
elif ! is_rust; then
	skip_case "$title" "the C core disturbs no CPU"
elif ! interrupts; then
	skip_case "$title" "this kernel interrupts no task"
elif ! online_cpus | grep -qx 1; then
	skip_case "$title" "CPU 1 is not online"
elif [[ ! -e $SHARE ]]; then
	skip_case "$title" "this kernel has no $SHARE"
else
	undisturbed "$title"
fi

finish
