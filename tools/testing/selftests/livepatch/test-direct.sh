#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Functions for which ftrace calls a trampoline, as for a BPF program.  ftrace must ask
# the owner of the trampoline before a livepatch changes the function, or the
# trampoline may go on to the original function.
#
# Another livepatch is enabled first: ftrace must ask for later functions of live
# patching as it does for the first one.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_DIRECT=test_klp_direct
MOD_FIRST=test_klp_atomic_replace
MOD_LIVEPATCH=test_klp_livepatch
MOD_SEVERAL=test_klp_bad_input
SHARED=/sys/module/$MOD_DIRECT/parameters/shared

hide_signaling

setup_config

if ! error=$(insmod test_modules/$MOD_DIRECT.ko 2>&1); then
	[[ "$error" == *"Operation not supported"* ]] ||
		die "$error"
	skip "no trampoline can be put into a function here"
fi
rmmod $MOD_DIRECT

FIRST="% insmod test_modules/$MOD_FIRST.ko replace=0
$(patching_messages $MOD_FIRST)"
FIRST_GONE="% echo 0 > $SYSFS_KLP_DIR/$MOD_FIRST/enabled
$(unpatching_messages $MOD_FIRST)
% rmmod $MOD_FIRST"


# refused(modname) - the kernel's messages when the trampoline is in the way of a
#	livepatch
function refused() {
	echo "livepatch: enabling patch '$1'
livepatch: '$1': initializing patching transition
livepatch: failed to register ftrace handler for function 'cmdline_proc_show' (-16)
livepatch: failed to patch object 'vmlinux'
livepatch: failed to enable patch '$1'
livepatch: '$1': canceling patching transition, going to unpatch
livepatch: '$1': completing unpatching transition
livepatch: '$1': unpatching complete"
}


# - the owner of the trampoline cannot be asked: the livepatch that changes the
#   function is refused

start_test "trampoline that does not share its function"

load_lp $MOD_FIRST replace=0
load_mod $MOD_DIRECT share=0
load_failing_mod $MOD_LIVEPATCH
unload_mod $MOD_DIRECT
disable_lp $MOD_FIRST
unload_lp $MOD_FIRST
check_clean

check_result "$FIRST
% insmod test_modules/$MOD_DIRECT.ko share=0
% insmod test_modules/$MOD_LIVEPATCH.ko
$(refused $MOD_LIVEPATCH)
insmod: ERROR: could not insert module test_modules/$MOD_LIVEPATCH.ko: Device or resource busy
% rmmod $MOD_DIRECT
$FIRST_GONE"


# - the function is one of several that are patched: the message names it, and
#   the others are not patched either

start_test "trampoline in one of several functions"

load_mod $MOD_DIRECT share=0
load_failing_mod $MOD_SEVERAL what=third_symbol
check_clean
unload_mod $MOD_DIRECT

check_result "% insmod test_modules/$MOD_DIRECT.ko share=0
% insmod test_modules/$MOD_SEVERAL.ko what=third_symbol
$(refused $MOD_SEVERAL)
insmod: ERROR: could not insert module test_modules/$MOD_SEVERAL.ko: Device or resource busy
% rmmod $MOD_DIRECT"


# - ftrace asks the owner, and notifies it when the livepatch is gone; in between the
#   function is patched

start_test "trampoline that shares its function"

load_lp $MOD_FIRST replace=0
load_mod $MOD_DIRECT share=1
load_lp $MOD_LIVEPATCH
[[ "$(cat $SHARED)" == "1" ]] ||
	die "the trampoline was asked $(cat $SHARED) times"
grep -q "$MOD_LIVEPATCH: this has been live patched" /proc/cmdline ||
	die "/proc/cmdline is not patched"
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH
[[ "$(cat $SHARED)" == "0" ]] ||
	die "the trampoline was not told that the livepatch is gone"
grep -q "live patched" /proc/cmdline &&
	die "/proc/cmdline is still patched"
unload_mod $MOD_DIRECT
disable_lp $MOD_FIRST
unload_lp $MOD_FIRST
check_clean

check_result "$FIRST
% insmod test_modules/$MOD_DIRECT.ko share=1
% insmod test_modules/$MOD_LIVEPATCH.ko
$(patching_messages $MOD_LIVEPATCH)
% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$(unpatching_messages $MOD_LIVEPATCH)
% rmmod $MOD_LIVEPATCH
% rmmod $MOD_DIRECT
$FIRST_GONE"

finish
