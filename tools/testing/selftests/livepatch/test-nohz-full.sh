#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Livepatches that end while a process stays in user space, on a CPU without a tick.  The
# Rust core disturbs no task there, and yet it has to see that the process is outside of a
# livepatch's code.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-leave.sh

UNDISTURBED=/sys/module/livepatch/parameters/undisturbed_cpus
NOHZ_FULL=/sys/devices/system/cpu/nohz_full

# cleanup_busy() - kill the reader, and clean up
function cleanup_busy() {
	[[ -z "$READER" ]] || kill -KILL $READER 2> /dev/null
	cleanup_leave
}

setup_leave
trap cleanup_busy EXIT INT TERM HUP

is_rust ||
	skip "the C core disturbs no CPU"

# The file has no numbers if there is no such CPU.
CPU=$(grep -oE '^[0-9]+' $NOHZ_FULL 2> /dev/null)
[[ -n "$CPU" ]] ||
	skip "no CPU is without a tick"
online_cpus | grep -qx $CPU ||
	skip "CPU $CPU is not online"
! grep -q 'livepatch.undisturbed_cpus=' /proc/cmdline ||
	skip "the administrator has set undisturbed_cpus"

# start_busy_reader(text) - start a process that has read /proc/test_klp_leave_a by itself,
#	and stays in user space from then on; sets READER and OUTPUT
#	text - its output
function start_busy_reader() {
	local expected="$1"
	local text

	exec {OUTPUT}< <(exec taskset -c $CPU bash -c '
		read -r line < /proc/test_klp_leave_a
		echo "$line"
		while :; do :; done')
	READER=$!
	read -r text <&$OUTPUT
	[[ "$text" == "$expected" ]] ||
		die "process $READER has read '$text'"
}

# kill_reader() - kill the reader, which is still there, and has written no more
function kill_reader() {
	kill -KILL $READER ||
		die "process $READER has ended"
	end_reader ""
	READER=
}


# - the core disturbs no CPU without a tick, by default

start_test "CPUs that must not be disturbed"

[[ "$(cat $UNDISTURBED)" == "$(cat $NOHZ_FULL)" ]] ||
	die "undisturbed_cpus is $(cat $UNDISTURBED)"

check_result ""


# - a process stays in user space
# - the livepatch is disabled; its module goes

start_test "process in user space"

load_mod $MOD_TARGET
start_busy_reader "original a"
load_lp $MOD_PATCH
disable_lp $MOD_PATCH
unload_lp $MOD_PATCH
kill_reader
check_ended

check_result "$TARGET
$(patch_messages)
$PATCH_GONE
% rmmod $MOD_PATCH
$TARGET_GONE"


# - a process has read, and stays in user space

can_restart "process in user space that can restart a system call" start_busy_reader kill_reader

finish
