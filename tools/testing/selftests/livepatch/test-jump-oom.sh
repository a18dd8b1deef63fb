#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each memory allocation fails once in turn, while a livepatch with functions that jump
# is disabled.  The core needs no memory to let functions call the handler again, nor
# to let them jump again.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-fail-nth.sh
. $(dirname $0)/functions-jump.sh

MOD_LIVEPATCH=test_klp_livepatch
MOD_SEVERAL=test_klp_oom
MOD_ODD=test_klp_odd

for path in failslab/reject-start fail_page_alloc/reject-start; do
	[[ -e "$SYSFS_DEBUG_DIR/$path" ]] ||
		skip "the kernel cannot fail allocations: no $SYSFS_DEBUG_DIR/$path"
done

function cleanup_oom() {
	end_jump
	cleanup_injection
}

setup_config
setup_jump
setup_injection
trap cleanup_oom EXIT INT TERM HUP

# The debug messages of all attempts would hide the other messages.
echo 'file kernel/livepatch/* -p' > "$SYSFS_DEBUG_DIR/dynamic_debug/control"

# load_several() - load the livepatch with two functions, which enter ftrace together
function load_several() {
	quiet_load $MOD_SEVERAL
	settled $MOD_SEVERAL
	check_several
}

# check_several() - die if its functions do not jump
function check_several() {
	local file

	for file in loadavg version; do
		check_jumps ${file}_proc_show new_show
		check_patched $file $MOD_SEVERAL
	done
}


# - an allocation fails before the transition: the functions jump

function disable_try() {
	try_disable $MOD_SEVERAL
}

function disable_failed() {
	check_sysfs_value $MOD_SEVERAL enabled 1
	check_sysfs_value $MOD_SEVERAL transition 0
	check_several
}

function disable_undo() {
	local file

	gone $MOD_SEVERAL
	for file in loadavg version; do
		check_original ${file}_proc_show
		check_unpatched $file
	done
	load_several
}

load_several
MIN_ALLOCATIONS=3 each_allocation "disable a livepatch whose functions jump" \
	kobj_attr_store disable
quiet_unload_lp $MOD_SEVERAL


# - an allocation fails before the transition: the functions jump
# - an allocation fails when the transition completes: the function leaves ftrace when
#   there is memory again
#
# Another function has entered ftrace together with this one, and belongs to another
# livepatch: it does not stop jumping.

function complete_ready() {
	quiet_load $MOD_ODD
	settled $MOD_ODD
	load_several
	quiet_load $MOD_LIVEPATCH
	settled $MOD_LIVEPATCH
	quiet_unload_lp $MOD_ODD
	check_jumps cmdline_proc_show livepatch_cmdline_proc_show
}

function complete_try() {
	try_disable $MOD_LIVEPATCH &&
		gone $MOD_LIVEPATCH
}

function complete_failed() {
	check_sysfs_value $MOD_LIVEPATCH enabled 1
	check_sysfs_value $MOD_LIVEPATCH transition 0
	check_jumps cmdline_proc_show livepatch_cmdline_proc_show
	check_several
}

function complete_undo() {
	check_several
	check_unpatched cmdline
	wait_until 'look_at cmdline_proc_show; [[ -z "$ENTRY" ]]' ||
		die "ftrace keeps a function that no livepatch changes"
	check_original cmdline_proc_show
	check_several
	quiet_unload_lp $MOD_SEVERAL
	check_original version_proc_show
	complete_ready
}

complete_ready
# Disabling alone makes four allocations, and the end of the transition at least one.
MIN_ALLOCATIONS=5 each_removal "a function jumps on when another leaves" \
	kobj_attr_store,$LATER complete
quiet_unload_lp $MOD_LIVEPATCH
quiet_unload_lp $MOD_SEVERAL
check_clean

finish
