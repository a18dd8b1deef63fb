#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Livepatches that are written in Rust: the samples in samples/livepatch, modules that
# test the rest of the interface for shadow variables and system states, a function in
# Rust that is replaced, and the list of defects that a livepatch fixes.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

LP_SAMPLE=livepatch_rust_sample
LP_CALLBACKS=livepatch_rust_callbacks
LP_FIX1=livepatch_rust_shadow_fix1
LP_FIX2=livepatch_rust_shadow_fix2
MOD_SHADOW=livepatch_shadow_mod
MOD_CALLBACKS=livepatch_callbacks_mod
MOD_BUSY=livepatch_callbacks_busymod
LP_SHADOW=test_klp_rust_shadow
LP_STATE=test_klp_rust_state
LP_STATE2=test_klp_rust_state2
LP_C_STATE=test_klp_state
LP_PATCH=test_klp_rust_patch
MOD_TARGET=test_klp_rust_target

# check_result() looks for lines with "livepatch:" or "test_klp".  Lines of the samples,
# of insmod and of commands do not have that text, and get it here.  The shadow variable
# samples print a random number of messages, which do not get it.  Messages that match
# $AT_RANDOM are hidden, as is the one about signaled tasks, which only slow machines
# have.
AT_RANDOM=
function dmesg() {
	local ours='% |insmod: |livepatch_(rust_)?(sample|callbacks)[a-z_]*: '

	command dmesg | grep -vE "livepatch: signaling remaining tasks${AT_RANDOM:+|$AT_RANDOM}" | \
		sed -E -e "s/\] ($ours)/] livepatch: \1/" \
			-e 's/shadow variable <[^>]*>/shadow variable <...>/'
}

# The message when the pre-patch callback for a module that is being loaded returns an
# error
REFUSED="failed for module '$MOD_CALLBACKS', refusing to load module '$MOD_CALLBACKS'"

setup_config

for mod in $LP_SHADOW $LP_STATE $LP_STATE2; do
	[[ -f "test_modules/$mod.ko" ]] ||
		skip "no test_modules/$mod.ko (CONFIG_RUST)"
done
for sample in $LP_SAMPLE $LP_CALLBACKS $LP_FIX1 $LP_FIX2 $MOD_SHADOW $MOD_CALLBACKS $MOD_BUSY; do
	[[ -f "$(sample_path $sample)" ]] ||
		skip "no $sample in $KLP_SAMPLES (CONFIG_SAMPLE_LIVEPATCH{,_RUST}=m)"
done


# - /proc/cmdline has another text while the sample is enabled

start_test "Rust sample"

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


# - target and busy target are loaded first

start_test "Rust callbacks, targets first"

callbacks_after_targets $LP_CALLBACKS ""


# - the livepatch is loaded first
# - the target is refused while its pre-patch callback fails
# - the busy target does its work in the new function
# - the livepatch is unloaded before the busy target

start_test "Rust callbacks, livepatch first"

load_lp_sample $LP_CALLBACKS module_ret=-19
insert_sample $MOD_CALLBACKS &&
	die "the target was loaded though its callback failed"
[[ ! -e /sys/module/$MOD_CALLBACKS ]] ||
	die "the refused target is still there"
disable_lp $LP_CALLBACKS
unload_lp $LP_CALLBACKS
load_lp_sample $LP_CALLBACKS
load_sample $MOD_BUSY
loop_until '[[ $(count_messages "patched_work_func") -eq 1 ]]' ||
	die "the new function of the busy target was not called"
disable_lp $LP_CALLBACKS
unload_lp $LP_CALLBACKS
unload_mod $MOD_BUSY

check_result "livepatch: % insmod $LP_CALLBACKS.ko module_ret=-19
livepatch: enabling patch '$LP_CALLBACKS'
livepatch: '$LP_CALLBACKS': initializing patching transition
livepatch: $LP_CALLBACKS: pre_patch: vmlinux
livepatch: '$LP_CALLBACKS': starting patching transition
livepatch: '$LP_CALLBACKS': completing patching transition
livepatch: $LP_CALLBACKS: post_patch: vmlinux
livepatch: '$LP_CALLBACKS': patching complete
livepatch: % insmod ${MOD_CALLBACKS//_/-}.ko
livepatch: applying patch '$LP_CALLBACKS' to loading module '$MOD_CALLBACKS'
livepatch: $LP_CALLBACKS: pre_patch: $MOD_CALLBACKS -> $COMING
livepatch: pre-patch callback failed for object '$MOD_CALLBACKS'
livepatch: patch '$LP_CALLBACKS' $REFUSED
livepatch: insmod: ERROR: could not insert module ${MOD_CALLBACKS//_/-}.ko: No such device
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_CALLBACKS/enabled
livepatch: '$LP_CALLBACKS': initializing unpatching transition
livepatch: $LP_CALLBACKS: pre_unpatch: vmlinux
livepatch: '$LP_CALLBACKS': starting unpatching transition
livepatch: '$LP_CALLBACKS': completing unpatching transition
livepatch: $LP_CALLBACKS: post_unpatch: vmlinux
livepatch: '$LP_CALLBACKS': unpatching complete
livepatch: % rmmod $LP_CALLBACKS
livepatch: % insmod $LP_CALLBACKS.ko
livepatch: enabling patch '$LP_CALLBACKS'
livepatch: '$LP_CALLBACKS': initializing patching transition
livepatch: $LP_CALLBACKS: pre_patch: vmlinux
livepatch: '$LP_CALLBACKS': starting patching transition
livepatch: '$LP_CALLBACKS': completing patching transition
livepatch: $LP_CALLBACKS: post_patch: vmlinux
livepatch: '$LP_CALLBACKS': patching complete
livepatch: % insmod ${MOD_BUSY//_/-}.ko
livepatch: applying patch '$LP_CALLBACKS' to loading module '$MOD_BUSY'
livepatch: $LP_CALLBACKS: pre_patch: $MOD_BUSY -> $COMING
livepatch: $LP_CALLBACKS: post_patch: $MOD_BUSY -> $COMING
livepatch: $MOD_BUSY: livepatch_callbacks_mod_init
livepatch: $LP_CALLBACKS: patched_work_func
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_CALLBACKS/enabled
livepatch: '$LP_CALLBACKS': initializing unpatching transition
livepatch: $LP_CALLBACKS: pre_unpatch: vmlinux
livepatch: $LP_CALLBACKS: pre_unpatch: $MOD_BUSY -> $LIVE
livepatch: '$LP_CALLBACKS': starting unpatching transition
livepatch: '$LP_CALLBACKS': completing unpatching transition
livepatch: $LP_CALLBACKS: post_unpatch: vmlinux
livepatch: $LP_CALLBACKS: post_unpatch: $MOD_BUSY -> $LIVE
livepatch: '$LP_CALLBACKS': unpatching complete
livepatch: % rmmod $LP_CALLBACKS
livepatch: % rmmod $MOD_BUSY
livepatch: $MOD_BUSY: livepatch_callbacks_mod_exit"


# - the livepatch is refused if a callback fails: the first one, or a later one after
#   the first has succeeded

start_test "Rust callbacks that refuse the livepatch"

insert_sample $LP_CALLBACKS vmlinux_ret=-19 &&
	die "the livepatch was loaded though its callback failed"
load_sample $MOD_CALLBACKS
insert_sample $LP_CALLBACKS module_ret=-12 &&
	die "the livepatch was loaded though its callback failed"
unload_mod $MOD_CALLBACKS
check_clean

check_result "livepatch: % insmod $LP_CALLBACKS.ko vmlinux_ret=-19
livepatch: enabling patch '$LP_CALLBACKS'
livepatch: '$LP_CALLBACKS': initializing patching transition
livepatch: $LP_CALLBACKS: pre_patch: vmlinux
livepatch: pre-patch callback failed for object 'vmlinux'
livepatch: failed to enable patch '$LP_CALLBACKS'
livepatch: '$LP_CALLBACKS': canceling patching transition, going to unpatch
livepatch: '$LP_CALLBACKS': completing unpatching transition
livepatch: '$LP_CALLBACKS': unpatching complete
livepatch: insmod: ERROR: could not insert module $LP_CALLBACKS.ko: No such device
livepatch: % insmod ${MOD_CALLBACKS//_/-}.ko
livepatch: $MOD_CALLBACKS: livepatch_callbacks_mod_init
livepatch: % insmod $LP_CALLBACKS.ko module_ret=-12
livepatch: enabling patch '$LP_CALLBACKS'
livepatch: '$LP_CALLBACKS': initializing patching transition
livepatch: $LP_CALLBACKS: pre_patch: vmlinux
livepatch: $LP_CALLBACKS: pre_patch: $MOD_CALLBACKS -> $LIVE
livepatch: pre-patch callback failed for object '$MOD_CALLBACKS'
livepatch: failed to enable patch '$LP_CALLBACKS'
livepatch: '$LP_CALLBACKS': canceling patching transition, going to unpatch
livepatch: '$LP_CALLBACKS': completing unpatching transition
livepatch: $LP_CALLBACKS: post_unpatch: vmlinux
livepatch: '$LP_CALLBACKS': unpatching complete
livepatch: insmod: ERROR: could not insert module $LP_CALLBACKS.ko: Cannot allocate memory
livepatch: % rmmod $MOD_CALLBACKS
livepatch: $MOD_CALLBACKS: livepatch_callbacks_mod_exit"


# - the first version is loaded before the module that leaks, and attaches the memory of
#   each leak to its dummy
# - the second version replaces the first, finds all of that memory, and counts how
#   often each dummy is checked
# - in the end, the number of prevented leaks is the number of allocations

start_test "Rust shadow variable samples"

load_lp_sample $LP_FIX1
load_sample $MOD_SHADOW
# Dummies live for 12 to 15 seconds.
loop_until '[[ $(count_messages "fix1: dummy_free: prevented a leak") -gt 0 ]]' ||
	die "the first version has prevented no leak"

load_lp_sample $LP_FIX2
unload_lp $LP_FIX1
loop_until '[[ $(count_messages "fix2: dummy_free: check counter = [1-9]") -gt 0 ]]' ||
	die "the second version has counted nothing"

unload_mod $MOD_SHADOW
allocated=$(count_messages "fix[12]: dummy_alloc:")
prevented=$(count_messages "fix[12]: dummy_free: prevented a leak")
[[ $allocated -gt 0 && $allocated -eq $prevented ]] ||
	die "$allocated allocations, but $prevented leaks prevented"
[[ $(count_messages "dummy @|leaked!|fix1: post_unpatch") -eq 0 ]] ||
	die "the original functions were called, or the first version has cleaned up"
[[ $(count_messages "fix2: post_unpatch: nothing is left to leak") -eq 1 ]] ||
	die "the second version has not cleaned up"

disable_lp $LP_FIX2
unload_lp $LP_FIX2

check_result "$(enabled_messages $LP_FIX1)
livepatch: % insmod ${MOD_SHADOW//_/-}.ko
livepatch: applying patch '$LP_FIX1' to loading module '$MOD_SHADOW'
$(enabled_messages $LP_FIX2)
livepatch: % rmmod $LP_FIX1
livepatch: % rmmod $MOD_SHADOW
livepatch: reverting patch '$LP_FIX2' on unloading module '$MOD_SHADOW'
$(disabled_messages $LP_FIX2)"


# - variables are attached, found, removed and dropped at the right times

SHADOW_MESSAGES="$LP_SHADOW: at first: none
$LP_SHADOW: allocated: 1
$LP_SHADOW: got or allocated: 1
$LP_SHADOW: got or allocated: 3
livepatch: Failed to construct shadow variable <...> (-16)
$LP_SHADOW: the constructor has failed
$LP_SHADOW: not constructed: none
$LP_SHADOW: of another type: 5
$LP_SHADOW: removed: none
$LP_SHADOW: still there: 1
$LP_SHADOW: removed again: false
$LP_SHADOW: dropping 1"

start_test "Rust shadow variables"

load_lp $LP_SHADOW
disable_lp $LP_SHADOW
unload_lp $LP_SHADOW

check_result "livepatch: % insmod test_modules/$LP_SHADOW.ko
livepatch: enabling patch '$LP_SHADOW'
livepatch: '$LP_SHADOW': initializing patching transition
$SHADOW_MESSAGES
livepatch: '$LP_SHADOW': starting patching transition
livepatch: '$LP_SHADOW': completing patching transition
livepatch: '$LP_SHADOW': patching complete
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_SHADOW/enabled
livepatch: '$LP_SHADOW': initializing unpatching transition
livepatch: '$LP_SHADOW': starting unpatching transition
livepatch: '$LP_SHADOW': completing unpatching transition
$LP_SHADOW: removing all
$LP_SHADOW: dropping 3
$LP_SHADOW: all removed: none
livepatch: '$LP_SHADOW': unpatching complete
livepatch: % rmmod $LP_SHADOW"


# - a livepatch that is refused has dropped its variables

start_test "Rust shadow variables of a livepatch that is refused"

load_failing_mod $LP_SHADOW pre_patch_ret=-19
check_clean

check_result "livepatch: % insmod test_modules/$LP_SHADOW.ko pre_patch_ret=-19
livepatch: enabling patch '$LP_SHADOW'
livepatch: '$LP_SHADOW': initializing patching transition
$SHADOW_MESSAGES
$LP_SHADOW: dropping 3
livepatch: pre-patch callback failed for object 'vmlinux'
livepatch: failed to enable patch '$LP_SHADOW'
livepatch: '$LP_SHADOW': canceling patching transition, going to unpatch
livepatch: '$LP_SHADOW': completing unpatching transition
livepatch: '$LP_SHADOW': unpatching complete
livepatch: insmod: ERROR: could not insert module test_modules/$LP_SHADOW.ko: No such device"


# - the livepatch does not wait until RCU has dropped its variables: the module's code
#   stays until then

start_test "Rust shadow variables that are dropped late"

load_lp $LP_SHADOW no_wait=1
disable_lp $LP_SHADOW
unload_lp $LP_SHADOW
[[ $(count_messages "$LP_SHADOW: dropping 3") -eq 1 ]] ||
	die "the variable was not dropped before the module was gone"

AT_RANDOM="$LP_SHADOW: dropping 3"
check_result "livepatch: % insmod test_modules/$LP_SHADOW.ko no_wait=1
livepatch: enabling patch '$LP_SHADOW'
livepatch: '$LP_SHADOW': initializing patching transition
$SHADOW_MESSAGES
livepatch: '$LP_SHADOW': starting patching transition
livepatch: '$LP_SHADOW': completing patching transition
livepatch: '$LP_SHADOW': patching complete
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_SHADOW/enabled
livepatch: '$LP_SHADOW': initializing unpatching transition
livepatch: '$LP_SHADOW': starting unpatching transition
livepatch: '$LP_SHADOW': completing unpatching transition
$LP_SHADOW: removing all
$LP_SHADOW: all removed: none
livepatch: '$LP_SHADOW': unpatching complete
livepatch: % rmmod $LP_SHADOW"
AT_RANDOM=


# - the second version takes over the data of the first
# - the first version cannot replace the second
# - if the livepatch is refused, its data is dropped: kmemleak notices if it is not

start_test "Rust system states"

[[ "$(modinfo -F klp_fixes test_modules/$LP_STATE2.ko)" == "CVE-2026-1234 CVE-2026-2345" ]] ||
	die "$LP_STATE2 does not name the defects that it fixes"

load_lp $LP_STATE
load_lp $LP_STATE2
unload_lp $LP_STATE
load_failing_mod $LP_STATE
disable_lp $LP_STATE2
unload_lp $LP_STATE2
load_failing_mod $LP_STATE pre_patch_ret=-19
check_clean

check_result "livepatch: % insmod test_modules/$LP_STATE.ko
livepatch: enabling patch '$LP_STATE'
livepatch: '$LP_STATE': initializing patching transition
$LP_STATE: remembering 42
$LP_STATE: another state: -22
livepatch: '$LP_STATE': starting patching transition
livepatch: '$LP_STATE': completing patching transition
livepatch: '$LP_STATE': patching complete
livepatch: % insmod test_modules/$LP_STATE2.ko
livepatch: enabling patch '$LP_STATE2'
livepatch: '$LP_STATE2': initializing patching transition
$LP_STATE2: of another type: false
$LP_STATE2: taking over 42 from version 1
livepatch: '$LP_STATE2': starting patching transition
livepatch: '$LP_STATE2': completing patching transition
livepatch: '$LP_STATE2': patching complete
livepatch: % rmmod $LP_STATE
$LP_STATE: the module goes
livepatch: % insmod test_modules/$LP_STATE.ko
livepatch: Livepatch patch ($LP_STATE) is not compatible with the already installed livepatches.
livepatch: insmod: ERROR: could not insert module test_modules/$LP_STATE.ko: Invalid parameters
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_STATE2/enabled
livepatch: '$LP_STATE2': initializing unpatching transition
livepatch: '$LP_STATE2': starting unpatching transition
livepatch: '$LP_STATE2': completing unpatching transition
$LP_STATE2: restoring 42
livepatch: '$LP_STATE2': unpatching complete
livepatch: % rmmod $LP_STATE2
livepatch: % insmod test_modules/$LP_STATE.ko pre_patch_ret=-19
livepatch: enabling patch '$LP_STATE'
livepatch: '$LP_STATE': initializing patching transition
$LP_STATE: remembering 42
$LP_STATE: another state: -22
livepatch: pre-patch callback failed for object 'vmlinux'
livepatch: failed to enable patch '$LP_STATE'
livepatch: '$LP_STATE': canceling patching transition, going to unpatch
livepatch: '$LP_STATE': completing unpatching transition
livepatch: '$LP_STATE': unpatching complete
livepatch: insmod: ERROR: could not insert module test_modules/$LP_STATE.ko: No such device"


# - a livepatch in C has a state with the same number: it is another state, which the
#   livepatch in Rust cannot replace

start_test "Rust and C system states"

load_lp $LP_C_STATE
load_failing_mod $LP_STATE2
disable_lp $LP_C_STATE
unload_lp $LP_C_STATE
check_clean

check_result "livepatch: % insmod test_modules/$LP_C_STATE.ko
livepatch: enabling patch '$LP_C_STATE'
livepatch: '$LP_C_STATE': initializing patching transition
$LP_C_STATE: pre_patch_callback: vmlinux
$LP_C_STATE: allocate_loglevel_state: allocating space to store console_loglevel
livepatch: '$LP_C_STATE': starting patching transition
livepatch: '$LP_C_STATE': completing patching transition
$LP_C_STATE: post_patch_callback: vmlinux
$LP_C_STATE: fix_console_loglevel: fixing console_loglevel
livepatch: '$LP_C_STATE': patching complete
livepatch: % insmod test_modules/$LP_STATE2.ko
livepatch: Livepatch patch ($LP_STATE2) is not compatible with the already installed livepatches.
livepatch: insmod: ERROR: could not insert module test_modules/$LP_STATE2.ko: Invalid parameters
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_C_STATE/enabled
livepatch: '$LP_C_STATE': initializing unpatching transition
$LP_C_STATE: pre_unpatch_callback: vmlinux
$LP_C_STATE: restore_console_loglevel: restoring console_loglevel
livepatch: '$LP_C_STATE': starting unpatching transition
livepatch: '$LP_C_STATE': completing unpatching transition
$LP_C_STATE: post_unpatch_callback: vmlinux
$LP_C_STATE: free_loglevel_state: freeing space for the stored console_loglevel
livepatch: '$LP_C_STATE': unpatching complete
livepatch: % rmmod $LP_C_STATE"


# - the function that is replaced is in Rust, too

ANSWER=$SYSFS_DEBUG_DIR/$MOD_TARGET/answer

title="patch a function in Rust"
if [[ -e "test_modules/$LP_PATCH.ko" ]]; then
	start_test "$title"

	load_mod $MOD_TARGET
	[[ "$(cat $ANSWER)" == 42 ]] ||
		die "$ANSWER is not the original one: $(cat $ANSWER)"
	load_lp $LP_PATCH
	[[ "$(cat $ANSWER)" == 4100 ]] ||
		die "$ANSWER is not patched: $(cat $ANSWER)"
	disable_lp $LP_PATCH
	[[ "$(cat $ANSWER)" == 42 ]] ||
		die "$ANSWER is not what it was: $(cat $ANSWER)"
	unload_lp $LP_PATCH
	unload_mod $MOD_TARGET

	check_result "livepatch: % insmod test_modules/$MOD_TARGET.ko
livepatch: % insmod test_modules/$LP_PATCH.ko
livepatch: enabling patch '$LP_PATCH'
livepatch: '$LP_PATCH': initializing patching transition
livepatch: '$LP_PATCH': starting patching transition
livepatch: '$LP_PATCH': completing patching transition
livepatch: '$LP_PATCH': patching complete
livepatch: % echo 0 > $SYSFS_KLP_DIR/$LP_PATCH/enabled
livepatch: '$LP_PATCH': initializing unpatching transition
livepatch: '$LP_PATCH': starting unpatching transition
livepatch: '$LP_PATCH': completing unpatching transition
livepatch: '$LP_PATCH': unpatching complete
livepatch: % rmmod $LP_PATCH
livepatch: % rmmod $MOD_TARGET"
else
	skip_case "$title" "this kernel has no $LP_PATCH.ko, which is for x86-64"
fi

finish
