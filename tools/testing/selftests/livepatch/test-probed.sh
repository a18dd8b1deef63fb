#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Functions that have a kprobe which uses ftrace, and a livepatch.  ftrace calls the
# handlers of both, the newer one first, and the kprobe's must not take back where the
# livepatch's has the function go on.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_KPROBE=test_klp_kprobe
MOD_LIVEPATCH=test_klp_livepatch
KPROBE="% insmod test_modules/$MOD_KPROBE.ko has_post_handler=n"

grep -q ' kprobe_ftrace_ops$' /proc/kallsyms ||
	skip "kprobes do not use ftrace here"

setup_config
echo 1 > "$SYSFS_KPROBES_DIR/enabled"

# check_patched() - die if the livepatch is not in effect
function check_patched() {
	is_patched ||
		die "the kprobe has undone the livepatch"
}


# - the kprobe's handler is called after the livepatch's

start_test "kprobe that is older than the livepatch"

load_mod $MOD_KPROBE has_post_handler=n
load_lp $MOD_LIVEPATCH
check_patched
unload_mod $MOD_KPROBE
check_patched
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH

check_result "$KPROBE
% insmod test_modules/$MOD_LIVEPATCH.ko
$(patching_messages $MOD_LIVEPATCH)
% rmmod $MOD_KPROBE
% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$(unpatching_messages $MOD_LIVEPATCH)
% rmmod $MOD_LIVEPATCH"


# - the kprobe's handler is called before the livepatch's, and stays alone

start_test "kprobe that is newer than the livepatch"

load_lp $MOD_LIVEPATCH
load_mod $MOD_KPROBE has_post_handler=n
check_patched
disable_lp $MOD_LIVEPATCH
! is_patched ||
	die "the livepatch is in effect after its end"
unload_lp $MOD_LIVEPATCH
unload_mod $MOD_KPROBE

check_result "% insmod test_modules/$MOD_LIVEPATCH.ko
$(patching_messages $MOD_LIVEPATCH)
$KPROBE
% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$(unpatching_messages $MOD_LIVEPATCH)
% rmmod $MOD_LIVEPATCH
% rmmod $MOD_KPROBE"

finish
