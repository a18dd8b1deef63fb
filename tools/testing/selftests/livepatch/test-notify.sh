#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Processes wait for a livepatch, by polling its files in sysfs and by its uevents.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_BUSY=test_klp_callbacks_busy
MOD_DEMO=test_klp_callbacks_demo
MOD_LIVEPATCH=test_klp_livepatch
MOD_REPLACE=test_klp_atomic_replace
MOD_SLEEP=test_klp_sleep_patch
MOD_TARGET=test_klp_callbacks_mod
MOD_SLEEP_TARGET=test_klp_sleep_target

BLOCK_PARAM=/sys/module/$MOD_BUSY/parameters/block_transition

is_root
is_rust ||
	skip "the C core sends no notifications"
[[ -e /proc/self/stack && -e /proc/self/patch_state ]] ||
	skip "no stack or patch_state in /proc/PID"

setup_config

SCRATCH=$(mktemp -d)

# cleanup_notify() - end the processes of the test, even after a failure
function cleanup_notify() {
	kill -KILL $(jobs -p) 2> /dev/null
	rm -rf "$SCRATCH"
	cleanup
}
trap cleanup_notify EXIT INT TERM HUP

# fail(msg) - the case fails
function fail() {
	echo "not ok"
	die "$1"
}

# start_listener(name, args...) - start test_klp-notify, and wait until it is ready; its
#	output is in $SCRATCH/name
function start_listener() {
	local name="$1"; shift

	./test_klp-notify "$@" > "$SCRATCH/$name" 2>&1 &
	wait_until '[[ -s "$SCRATCH/$name" ]]' ||
		fail "the listener $name is not ready"
}

# poll_file(name, path) - start to poll a file of a livepatch
function poll_file() {
	start_listener $1 poll "$SYSFS_KLP_DIR/$2"
}

# heard(name) - the output of a listener, in one line
function heard() {
	paste -s -d ' ' "$SCRATCH/$1"
}

# hears(name, values) - wait until a listener has printed these values
function hears() {
	local name="$1"; shift
	local values="$1"

	wait_until '[[ "$(heard "$name")" == "$values" ]]' ||
		fail "$name: '$(heard "$name")', not '$values'"
}

# ends(name, values) - wait until a listener has printed these values, and then 0 or that
#	the file is gone, or both.  The file may go before the listener reads the 0.
function ends() {
	local name="$1"; shift
	local values="$1"

	wait_until '[[ "$(heard "$name")" =~ ^"$values"(" 0"|" gone"|" 0 gone")$ ]]' ||
		fail "$name: '$(heard "$name")', not '$values 0' or '$values gone'"
}

# stop_listeners() - end all listeners
function stop_listeners() {
	end_processes $(jobs -p)
}

# uevent(patch, stage, direction) - the line of a uevent
function uevent() {
	echo "change ACTION=change DEVPATH=/kernel/livepatch/$1 SUBSYSTEM=livepatch" \
		"PATCH=$1 TRANSITION=$2 DIRECTION=$3"
}

# heard_uevents(uevents) - the kernel has sent these uevents in this order, and no
#	others before the last of them
function heard_uevents() {
	local expected="ready
$1"
	local lines

	lines=$(wc -l <<< "$expected")
	wait_until "[[ \$(wc -l < \$SCRATCH/messages) -ge $lines ]]" ||
		fail "too few uevents: $(cat "$SCRATCH/messages")"
	diff -u --label expected --label result <(echo "$expected") "$SCRATCH/messages" ||
		fail "the kernel has sent other uevents"
}


start_test "poll a transition that completes"

start_busy
load_lp_nowait $MOD_DEMO
poll_file transition $MOD_DEMO/transition
poll_file enabled $MOD_DEMO/enabled
poll_file patched $MOD_DEMO/vmlinux/patched
hears transition "1"
echo N > $BLOCK_PARAM
hears transition "1 0"
disable_lp $MOD_DEMO
ends transition "1 0 1"
ends enabled "1"
ends patched "1"
stop_listeners
unload_lp $MOD_DEMO
unload_mod $MOD_BUSY
check_clean
pass


start_test "poll a transition that is reversed"

load_mod $MOD_SLEEP_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
IN_OLD=$SLEEPER
load_lp_nowait $MOD_SLEEP
wait_until '[[ "$(tasks_in_state 0)" == "$IN_OLD" ]]' ||
	fail "not patched, besides $IN_OLD: $(tasks_in_state 0)"
start_sleeper test_klp_sleep livepatch_test_klp_sleep_show
poll_file transition $MOD_SLEEP/transition
poll_file enabled $MOD_SLEEP/enabled
hears enabled "1"
echo 0 > $SYSFS_KLP_DIR/$MOD_SLEEP/enabled
hears enabled "1 0"
echo 1 > $SYSFS_KLP_DIR/$MOD_SLEEP/enabled
hears enabled "1 0 1"
hears transition "1"
end_processes $IN_OLD
hears transition "1 0"
end_processes $SLEEPER
stop_listeners
disable_lp $MOD_SLEEP
unload_lp $MOD_SLEEP
unload_mod $MOD_SLEEP_TARGET
check_clean
pass


# The module comes and goes once during a transition, and once when it is over.
start_test "poll a module that comes and goes"

start_busy
load_lp_nowait $MOD_DEMO
poll_file module $MOD_DEMO/$MOD_TARGET/patched
load_mod $MOD_TARGET
hears module "0 1"
unload_mod $MOD_TARGET
hears module "0 1 0"
echo N > $BLOCK_PARAM
wait_until 'grep -q "^0$" $SYSFS_KLP_DIR/$MOD_DEMO/transition' ||
	fail "failed to complete transition"
load_mod $MOD_TARGET
hears module "0 1 0 1"
unload_mod $MOD_TARGET
hears module "0 1 0 1 0"
stop_listeners
disable_lp $MOD_DEMO
unload_lp $MOD_DEMO
unload_mod $MOD_BUSY
check_clean
pass


start_test "poll a patch that is replaced"

load_lp $MOD_LIVEPATCH
poll_file enabled $MOD_LIVEPATCH/enabled
load_lp $MOD_REPLACE replace=1
ends enabled "1"
stop_listeners
wait_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_LIVEPATCH ]]'
unload_lp $MOD_LIVEPATCH
disable_lp $MOD_REPLACE
unload_lp $MOD_REPLACE
check_clean
pass


start_test "uevents of transitions"

start_listener messages uevents
load_lp $MOD_LIVEPATCH
load_lp $MOD_REPLACE replace=1
wait_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_LIVEPATCH ]]'
unload_lp $MOD_LIVEPATCH
disable_lp $MOD_REPLACE
unload_lp $MOD_REPLACE
heard_uevents "$(uevent $MOD_LIVEPATCH start patching)
$(uevent $MOD_LIVEPATCH complete patching)
$(uevent $MOD_REPLACE start patching)
$(uevent $MOD_REPLACE complete patching)
$(uevent $MOD_REPLACE start unpatching)
$(uevent $MOD_REPLACE complete unpatching)"
stop_listeners
check_clean
pass


start_test "uevents of a transition that is reversed, and forced"

start_listener messages uevents
load_mod $MOD_SLEEP_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
load_lp_nowait $MOD_SLEEP
echo 0 > $SYSFS_KLP_DIR/$MOD_SLEEP/enabled
wait_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_SLEEP ]]' ||
	fail "failed to reverse the transition"
unload_lp $MOD_SLEEP
load_lp_nowait $MOD_SLEEP
echo 1 > $SYSFS_KLP_DIR/$MOD_SLEEP/force
wait_until 'grep -q "^0$" $SYSFS_KLP_DIR/$MOD_SLEEP/transition' ||
	fail "failed to force the transition"
end_processes $SLEEPER
disable_lp $MOD_SLEEP
unload_lp $MOD_SLEEP
heard_uevents "$(uevent $MOD_SLEEP start patching)
$(uevent $MOD_SLEEP reverse unpatching)
$(uevent $MOD_SLEEP complete unpatching)
$(uevent $MOD_SLEEP start patching)
$(uevent $MOD_SLEEP force patching)
$(uevent $MOD_SLEEP complete patching)
$(uevent $MOD_SLEEP start unpatching)
$(uevent $MOD_SLEEP complete unpatching)"
stop_listeners
unload_mod $MOD_SLEEP_TARGET
check_clean
pass


# The transition of a refused patch does not start, so the core sends no uevents for it.
# Nor does the core send a uevent for a module that it refuses.
start_test "no uevents of a patch that is refused"

start_listener messages uevents
start_busy
load_lp_nowait $MOD_DEMO
insmod test_modules/$MOD_LIVEPATCH.ko 2> /dev/null &&
	fail "$MOD_LIVEPATCH was not refused"
echo N > $BLOCK_PARAM
wait_until 'grep -q "^0$" $SYSFS_KLP_DIR/$MOD_DEMO/transition' ||
	fail "failed to complete transition"
set_pre_patch_ret $MOD_DEMO -19
load_failing_mod $MOD_TARGET
disable_lp $MOD_DEMO
unload_lp $MOD_DEMO
unload_mod $MOD_BUSY
heard_uevents "$(uevent $MOD_DEMO start patching)
$(uevent $MOD_DEMO complete patching)
$(uevent $MOD_DEMO start unpatching)
$(uevent $MOD_DEMO complete unpatching)"
stop_listeners
check_clean
pass

finish
