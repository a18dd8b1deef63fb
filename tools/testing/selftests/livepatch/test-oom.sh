#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each memory allocation of live patching fails once in turn: the operation returns an
# error or succeeds, leaves nothing behind, and succeeds when there is memory.
#
# Arguments, if any, are the groups of tests to run.  The end of the script lists them.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-fail-nth.sh

MOD_LIVEPATCH=test_klp_livepatch
MOD_OOM=test_klp_oom
MOD_PATCH=test_klp_mod_patch
MOD_TARGET=test_klp_mod_target
MOD_BUSY=test_klp_callbacks_busy

for path in failslab/reject-start fail_page_alloc/reject-start; do
	[[ -e "$SYSFS_DEBUG_DIR/$path" ]] ||
		skip "the kernel cannot fail allocations: no $SYSFS_DEBUG_DIR/$path"
done

setup_config

# The debug messages of some hundred attempts would hide the other messages.
echo 'file kernel/livepatch/* -p' > "$SYSFS_DEBUG_DIR/dynamic_debug/control"

# expect(text, paths) - die if a file does not begin with this text
#	text - the beginning of the only line of each file
#	paths - files
function expect() {
	local text="$1"; shift
	local path

	for path in "$@"; do
		[[ "$(< "$path")" == "$text"* ]] ||
			die "$path: '$(< "$path")', expected '$text'"
	done
}

# original(paths) - die if the text of a file comes from a patched function
function original() {
	local path

	for path in "$@"; do
		[[ "$(< "$path")" != *test_klp*patched* ]] ||
			die "$path is patched: '$(< "$path")'"
	done
}

VMLINUX_FILES="/proc/version /proc/loadavg"
TARGET_FILE=/proc/test_klp_mod_target


# - enable a livepatch to several functions of vmlinux

function vmlinux_try() {
	try insmod test_modules/$MOD_OOM.ko
}

function vmlinux_failed() {
	original $VMLINUX_FILES
}

function vmlinux_undo() {
	settled $MOD_OOM
	expect "$MOD_OOM: patched" $VMLINUX_FILES
	quiet_unload_lp $MOD_OOM
	original $VMLINUX_FILES
}

function group_vmlinux() {
	MIN_ALLOCATIONS=20 each_allocation "enable a livepatch to vmlinux" klp_enable_patch vmlinux
}


# - enable a livepatch to a module

function module_try() {
	try insmod test_modules/$MOD_PATCH.ko
}

function module_failed() {
	original $TARGET_FILE
}

function module_undo() {
	settled $MOD_PATCH
	expect "$MOD_PATCH: this has been live patched" $TARGET_FILE
	quiet_unload_lp $MOD_PATCH
	original $TARGET_FILE
}

function group_module() {
	quiet_load $MOD_TARGET
	MIN_ALLOCATIONS=20 each_allocation "enable a livepatch to a module" klp_enable_patch module
	quiet_unload $MOD_TARGET
}


# - replace two livepatches, one to vmlinux and one to a module, by a livepatch to other
#   functions of vmlinux: it gets nops in its own object, and an object for nops alone

function replace_ready() {
	quiet_load $MOD_LIVEPATCH
	settled $MOD_LIVEPATCH
	quiet_load $MOD_PATCH
	settled $MOD_PATCH
}

function replace_failed() {
	expect "$MOD_LIVEPATCH: this has been live patched" /proc/cmdline
	expect "$MOD_PATCH: this has been live patched" $TARGET_FILE
	original $VMLINUX_FILES
}

function replace_undo() {
	expect "$MOD_OOM: patched" $VMLINUX_FILES
	original /proc/cmdline $TARGET_FILE
	gone $MOD_LIVEPATCH
	gone $MOD_PATCH
	quiet_unload_lp $MOD_OOM
	original $VMLINUX_FILES
	replace_ready
}

function replace_try() {
	try insmod test_modules/$MOD_OOM.ko replace=1 &&
		settled $MOD_OOM
}

function group_replace() {
	local functions=klp_enable_patch

	# Without memory at the end, the C core warns and leaks.
	! is_rust || functions+=,$LATER
	quiet_load $MOD_TARGET
	replace_ready
	MIN_ALLOCATIONS=40 each_allocation "replace two livepatches" $functions replace
	quiet_unload_lp $MOD_PATCH
	quiet_unload_lp $MOD_LIVEPATCH
	quiet_unload $MOD_TARGET
}


# - disable a livepatch

function disable_try() {
	try_disable $MOD_OOM
}

function disable_failed() {
	expect 1 $SYSFS_KLP_DIR/$MOD_OOM/enabled
	expect 0 $SYSFS_KLP_DIR/$MOD_OOM/transition
	expect "$MOD_OOM: patched" $VMLINUX_FILES
}

function disable_undo() {
	gone $MOD_OOM
	original $VMLINUX_FILES
	quiet_load $MOD_OOM
	settled $MOD_OOM
	expect "$MOD_OOM: patched" $VMLINUX_FILES
}

function group_disable() {
	local needed=3

	quiet_load $MOD_OOM
	settled $MOD_OOM
	# The C core needs no memory before the transition.
	is_rust || needed=0
	MIN_ALLOCATIONS=$needed each_allocation "disable a livepatch" kobj_attr_store disable
	quiet_unload_lp $MOD_OOM
}


# - disable a livepatch to a module.  The module is unloaded at once and loaded again,
#   very likely to the same address: ftrace must not have kept anything of it.

function disable_module_try() {
	try_disable $MOD_PATCH &&
		gone $MOD_PATCH
}

function disable_module_failed() {
	expect 1 $SYSFS_KLP_DIR/$MOD_PATCH/enabled
	expect 0 $SYSFS_KLP_DIR/$MOD_PATCH/transition
	expect "$MOD_PATCH: this has been live patched" $TARGET_FILE
}

function disable_module_undo() {
	original $TARGET_FILE
	quiet_unload $MOD_TARGET
	quiet_load $MOD_TARGET
	original $TARGET_FILE
	quiet_load $MOD_PATCH
	settled $MOD_PATCH
	expect "$MOD_PATCH: this has been live patched" $TARGET_FILE
}

function group_disable_module() {
	quiet_load $MOD_TARGET
	quiet_load $MOD_LIVEPATCH
	settled $MOD_LIVEPATCH
	quiet_load $MOD_PATCH
	settled $MOD_PATCH
	each_removal "disable a livepatch to a module" kobj_attr_store,$LATER disable_module
	quiet_unload $MOD_TARGET
	quiet_unload_lp $MOD_PATCH
	quiet_unload_lp $MOD_LIVEPATCH
}


# - a module comes, and goes, under a livepatch

function coming_try() {
	try insmod test_modules/$MOD_TARGET.ko
}

function coming_failed() {
	[[ ! -e $TARGET_FILE && ! -e /sys/module/$MOD_TARGET ]] ||
		die "$MOD_TARGET was refused, but is there"
}

function coming_undo() {
	expect "$MOD_PATCH: this has been live patched" $TARGET_FILE
	quiet_unload $MOD_TARGET
}

function going_try() {
	quiet_load $MOD_TARGET
	expect "$MOD_PATCH: this has been live patched" $TARGET_FILE
	quiet_unload $MOD_TARGET
}

function going_undo() {
	:
}

function group_coming() {
	quiet_load $MOD_LIVEPATCH
	settled $MOD_LIVEPATCH
	quiet_load $MOD_PATCH
	settled $MOD_PATCH
	MIN_ALLOCATIONS=3 each_allocation "a module comes under an enabled livepatch" \
		klp_module_coming coming
	each_removal "a module goes under an enabled livepatch" klp_module_going going
	quiet_unload_lp $MOD_PATCH
	quiet_unload_lp $MOD_LIVEPATCH
}


# - the same while the livepatch is in transition: some task sleeps

function transition_undo() {
	expect 1 $SYSFS_KLP_DIR/$MOD_OOM/transition
	# The shell has switched, as every task but the busy one, so calls are redirected.
	loop_until '[[ "$(< $TARGET_FILE)" == "$MOD_OOM: patched" ]]' ||
		die "$TARGET_FILE is not patched"
	quiet_unload $MOD_TARGET
}

function transition_try() {
	coming_try
}

function transition_failed() {
	coming_failed
	expect 1 $SYSFS_KLP_DIR/$MOD_OOM/transition
}

function transition_going_try() {
	quiet_load $MOD_TARGET
	quiet_unload $MOD_TARGET
}

function transition_going_undo() {
	expect 1 $SYSFS_KLP_DIR/$MOD_OOM/transition
}

function group_transition() {
	quiet_load $MOD_BUSY block_transition=Y
	quiet_load $MOD_OOM target=1 busy=1
	MIN_ALLOCATIONS=3 each_allocation "a module comes in a transition" \
		klp_module_coming transition
	each_removal "a module goes in a transition" klp_module_going transition_going
	echo N > /sys/module/$MOD_BUSY/parameters/block_transition
	settled $MOD_OOM
	quiet_unload_lp $MOD_OOM
	quiet_unload $MOD_BUSY
}


# - shadow variables

function shadow_try() {
	quiet_load test_klp_shadow_scale what=correct count=5000
	# A work item resizes the table.
	sleep .2
}

function shadow_undo() {
	quiet_unload test_klp_shadow_scale
}

function group_shadow() {
	local title

	start_test "make a shadow variable"
	quiet_load test_klp_shadow_scale what=short count=5000
	quiet_unload test_klp_shadow_scale
	new_messages | grep -q "a variable was not made for want of memory: yes" ||
		die "no shadow variable failed to be made"
	pass

	title="the table of shadow variables grows"
	if is_rust; then
		each_allocation "$title" klp_shadow_resize_fn shadow
	else
		skip_case "$title" "the C core has a table of a fixed size"
	fi
}


# - livepatches in Rust, with callbacks that attach shadow variables and set system
#   states: values of operations that failed have been dropped

function rust_shadow_try() {
	try insmod test_modules/test_klp_rust_shadow.ko
}

function rust_shadow_failed() {
	rust_shadow_dropped
}

# A message other than "at first: none" shows a variable of an earlier attempt.
function rust_shadow_dropped() {
	new_messages | grep 'test_klp_rust_shadow: at first: [^n]' &&
		die "variables were left behind"
}

function rust_shadow_undo() {
	settled test_klp_rust_shadow
	quiet_unload_lp test_klp_rust_shadow
	rust_shadow_dropped
}

function rust_state_try() {
	try insmod test_modules/test_klp_rust_state.ko
}

function rust_state_failed() {
	:
}

function rust_state_undo() {
	settled test_klp_rust_state
	quiet_unload_lp test_klp_rust_state
}

function group_rust() {
	local shadow="shadow variables of a livepatch in Rust"
	local state="system states of a livepatch in Rust"

	if [[ ! -e test_modules/test_klp_rust_shadow.ko ]]; then
		skip_case "$shadow" "this kernel has no livepatches in Rust"
		skip_case "$state" "this kernel has no livepatches in Rust"
		return
	fi
	MIN_ALLOCATIONS=14 each_allocation "$shadow" klp_enable_patch rust_shadow
	MIN_ALLOCATIONS=10 each_allocation "$state" klp_enable_patch rust_state
}


# - no memory has leaked

function group_leaks() {
	if [[ -z "$LEAKS" ]]; then
		skip_case "all memory is accounted for" "no kmemleak"
		return
	fi
	start_test "all memory is accounted for"
	now=$(leaks)
	[[ -n "$now" && "$now" -le "$LEAKS" ]] ||
		die "memory has leaked: $(cat $SYSFS_DEBUG_DIR/kmemleak)"
	pass
}

[[ $# -ne 0 ]] ||
	set -- vmlinux module replace disable disable_module coming transition shadow rust leaks

[[ " $* " != *" leaks "* ]] || LEAKS=$(leaks)
setup_injection

for group; do
	declare -F "group_$group" > /dev/null || die "no group of tests: $group"
done
for group; do
	group_$group
done

finish
