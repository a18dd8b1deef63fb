#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The modules in C in samples/livepatch: each is loaded, its effect is checked, and it is
# unloaded.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

LP_SAMPLE=livepatch_sample
MOD_SHADOW=livepatch_shadow_mod
LP_FIX1=livepatch_shadow_fix1
LP_FIX2=livepatch_shadow_fix2
MOD_CALLBACKS=livepatch_callbacks_mod
MOD_BUSY=livepatch_callbacks_busymod
LP_DEMO=livepatch_callbacks_demo

# check_result() looks for lines with "livepatch:".  Lines of the samples, of insmod and
# of commands do not have that text, and get it here.  The shadow variable samples print
# a random number of messages, which do not get it.  The message about signaled tasks is
# hidden, because only slow machines have it.
function dmesg() {
	command dmesg | grep -v 'livepatch: signaling remaining tasks' | \
		sed -E 's/\] (% |insmod: |livepatch_(sample|callbacks)[a-z_]*: )/] livepatch: \1/'
}

setup_config

for sample in $LP_SAMPLE $MOD_SHADOW $LP_FIX1 $LP_FIX2 $MOD_CALLBACKS $MOD_BUSY $LP_DEMO; do
	[[ -f "$(sample_path $sample)" ]] ||
		skip "no ${sample//_/-}.ko in $KLP_SAMPLES (CONFIG_SAMPLE_LIVEPATCH=m)"
done

# - /proc/cmdline has another text while the sample is enabled

start_test "sample"

cmdline=$(cat /proc/cmdline)
load_lp_sample $LP_SAMPLE
[[ "$(cat /proc/cmdline)" == "this has been live patched" ]] ||
	die "/proc/cmdline is not patched: $(cat /proc/cmdline)"
disable_lp $LP_SAMPLE
[[ "$(cat /proc/cmdline)" == "$cmdline" ]] ||
	die "/proc/cmdline is not what it was: $(cat /proc/cmdline)"
unload_lp $LP_SAMPLE

check_result "$(enabled_messages $LP_SAMPLE)
$(disabled_messages $LP_SAMPLE)"


# - the first fix is loaded before the module that leaks: it attaches the memory of each
#   leak to its dummy, and frees both together
# - the second fix is added, and counts how often each dummy is checked
# - in the end, the number of prevented leaks is the number of allocations

start_test "shadow variable samples"

load_lp_sample $LP_FIX1
load_sample $MOD_SHADOW
# Dummies live for 12 to 15 seconds.
loop_until '[[ $(count_messages "fix1_dummy_leak_dtor: .*prevented leak") -gt 0 ]]' ||
	die "the first fix has prevented no leak"
[[ $(count_messages "fix2_dummy|check counter") -eq 0 ]] ||
	die "there are messages of the second fix"

load_lp_sample $LP_FIX2
loop_until '[[ $(count_messages "fix2_dummy_free: .*check counter = [1-9]") -gt 0 ]]' ||
	die "the second fix has counted nothing"
[[ $(count_messages "fix2_dummy_leak_dtor: .*prevented leak") -gt 0 ]] ||
	die "the second fix has prevented no leak"

unload_mod $MOD_SHADOW
allocated=$(count_messages "fix1_dummy_alloc: dummy @")
prevented=$(count_messages "fix[12]_dummy_leak_dtor: .*prevented leak")
[[ $allocated -gt 0 && $allocated -eq $prevented ]] ||
	die "$allocated allocations, but $prevented leaks prevented"
[[ $(count_messages " dummy_(alloc|free): |leaked!") -eq 0 ]] ||
	die "the original functions were called"

disable_lp $LP_FIX2
unload_lp $LP_FIX2
disable_lp $LP_FIX1
unload_lp $LP_FIX1

check_result "$(enabled_messages $LP_FIX1)
livepatch: % insmod ${MOD_SHADOW//_/-}.ko
livepatch: applying patch '$LP_FIX1' to loading module '$MOD_SHADOW'
$(enabled_messages $LP_FIX2)
livepatch: % rmmod $MOD_SHADOW
livepatch: reverting patch '$LP_FIX1' on unloading module '$MOD_SHADOW'
livepatch: reverting patch '$LP_FIX2' on unloading module '$MOD_SHADOW'
$(disabled_messages $LP_FIX2)
$(disabled_messages $LP_FIX1)"


# - target and busy target are loaded first

start_test "callback samples, targets first"

callbacks_after_targets $LP_DEMO "_callback"


# - the livepatch is loaded first
# - the target is refused while its pre-patch callback fails, and is then loaded
# - the busy target does its work in the new function
# - the livepatch is unloaded before the targets

SLEEP_SECS=10
REFUSED="failed for module '$MOD_CALLBACKS', refusing to load module '$MOD_CALLBACKS'"

start_test "callback samples, livepatch first"

load_lp_sample $LP_DEMO
set_pre_patch_ret $LP_DEMO -19
insert_sample $MOD_CALLBACKS &&
	die "the target was loaded though its callback failed"
[[ ! -e /sys/module/$MOD_CALLBACKS ]] ||
	die "the refused target is still there"
set_pre_patch_ret $LP_DEMO 0
load_sample $MOD_CALLBACKS
load_sample $MOD_BUSY sleep_secs=$SLEEP_SECS
loop_until '[[ $(count_messages "patched_work_func") -eq 1 ]]' ||
	die "the new function of the busy target was not called"
disable_lp $LP_DEMO
unload_lp $LP_DEMO
unload_mod $MOD_BUSY
unload_mod $MOD_CALLBACKS

check_result "livepatch: % insmod ${LP_DEMO//_/-}.ko
livepatch: enabling patch '$LP_DEMO'
livepatch: '$LP_DEMO': initializing patching transition
livepatch: $LP_DEMO: pre_patch_callback: vmlinux
livepatch: '$LP_DEMO': starting patching transition
livepatch: '$LP_DEMO': completing patching transition
livepatch: $LP_DEMO: post_patch_callback: vmlinux
livepatch: '$LP_DEMO': patching complete
livepatch: % echo -19 > /sys/module/$LP_DEMO/parameters/pre_patch_ret
livepatch: % insmod ${MOD_CALLBACKS//_/-}.ko
livepatch: applying patch '$LP_DEMO' to loading module '$MOD_CALLBACKS'
livepatch: $LP_DEMO: pre_patch_callback: $MOD_CALLBACKS -> $COMING
livepatch: pre-patch callback failed for object '$MOD_CALLBACKS'
livepatch: patch '$LP_DEMO' $REFUSED
livepatch: insmod: ERROR: could not insert module ${MOD_CALLBACKS//_/-}.ko: No such device
livepatch: % echo 0 > /sys/module/$LP_DEMO/parameters/pre_patch_ret
livepatch: % insmod ${MOD_CALLBACKS//_/-}.ko
livepatch: applying patch '$LP_DEMO' to loading module '$MOD_CALLBACKS'
livepatch: $LP_DEMO: pre_patch_callback: $MOD_CALLBACKS -> $COMING
livepatch: $LP_DEMO: post_patch_callback: $MOD_CALLBACKS -> $COMING
livepatch: $MOD_CALLBACKS: livepatch_callbacks_mod_init
livepatch: % insmod ${MOD_BUSY//_/-}.ko sleep_secs=$SLEEP_SECS
livepatch: applying patch '$LP_DEMO' to loading module '$MOD_BUSY'
livepatch: $LP_DEMO: pre_patch_callback: $MOD_BUSY -> $COMING
livepatch: $LP_DEMO: post_patch_callback: $MOD_BUSY -> $COMING
livepatch: $MOD_BUSY: livepatch_callbacks_mod_init
livepatch: $LP_DEMO: patched_work_func
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_DEMO/enabled
livepatch: '$LP_DEMO': initializing unpatching transition
livepatch: $LP_DEMO: pre_unpatch_callback: vmlinux
livepatch: $LP_DEMO: pre_unpatch_callback: $MOD_CALLBACKS -> $LIVE
livepatch: $LP_DEMO: pre_unpatch_callback: $MOD_BUSY -> $LIVE
livepatch: '$LP_DEMO': starting unpatching transition
livepatch: '$LP_DEMO': completing unpatching transition
livepatch: $LP_DEMO: post_unpatch_callback: vmlinux
livepatch: $LP_DEMO: post_unpatch_callback: $MOD_CALLBACKS -> $LIVE
livepatch: $LP_DEMO: post_unpatch_callback: $MOD_BUSY -> $LIVE
livepatch: '$LP_DEMO': unpatching complete
livepatch: % rmmod $LP_DEMO
livepatch: % rmmod $MOD_BUSY
livepatch: $MOD_BUSY: livepatch_callbacks_mod_exit
livepatch: % rmmod $MOD_CALLBACKS
livepatch: $MOD_CALLBACKS: livepatch_callbacks_mod_exit"

finish
