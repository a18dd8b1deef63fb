#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Functions that jump to their replacements, and others who want ftrace to call
# them: tracers, probes, trampolines as BPF's.  While they are there, the function
# calls all of them; when they are gone, it jumps again.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-jump.sh

MOD_LIVEPATCH=test_klp_livepatch
MOD_DIRECT=test_klp_direct
MOD_KPROBE=test_klp_kprobe

NEW_CMDLINE=livepatch_cmdline_proc_show
LIVE="$MOD_LIVEPATCH: this has been live patched"
ORIGINAL=$(< /proc/cmdline)

# reset_tracing() - leave nothing in ftrace
function reset_tracing() {
	echo nop > $TRACING/current_tracer
	[[ ! -e $TRACING/events/kprobes/enable ]] ||
		echo 0 > $TRACING/events/kprobes/enable
	echo > $TRACING/kprobe_events
	echo > $TRACING/set_ftrace_filter
}

function cleanup_users() {
	end_jump
	reset_tracing
	cleanup
}

setup_config
hide_signaling
setup_jump
trap cleanup_users EXIT INT TERM HUP

# load(), unload() - the livepatch comes, and goes
function load() {
	load_lp $MOD_LIVEPATCH
}

function unload() {
	disable_lp $MOD_LIVEPATCH
	unload_lp $MOD_LIVEPATCH
}

# check_alone() - die if it does not jump, or does not work
function check_alone() {
	check_jumps cmdline_proc_show $NEW_CMDLINE
	check_patched cmdline $MOD_LIVEPATCH
}

# check_shared() - die if it jumps, or does not work
function check_shared() {
	check_handled cmdline_proc_show
	check_patched cmdline $MOD_LIVEPATCH
}


# - tracers and probes, after the livepatch and before it: they see each call

# start_user(what) - set up a tracer or probe, and TEXT to what it writes
function start_user() {
	local type

	TEXT=cmdline_proc_show
	case $1 in
	function | function_graph)
		echo cmdline_proc_show > $TRACING/set_ftrace_filter
		echo $1 > $TRACING/current_tracer
		;;
	kprobe | kretprobe)
		[[ $1 == kprobe ]] && type=p || type=r
		echo "$type:jump cmdline_proc_show" > $TRACING/kprobe_events
		echo 1 > $TRACING/events/kprobes/jump/enable
		TEXT=jump:
		;;
	esac
}

for user in function function_graph kprobe kretprobe; do
	for order in after before; do
		start_test "$user, $order the livepatch"

		if [[ $order == after ]]; then
			load
			check_alone
			start_user $user
		else
			start_user $user
			load
		fi
		echo > $TRACING/trace
		check_shared
		grep -q "$TEXT" $TRACING/trace ||
			die "no '$TEXT' in the trace"
		reset_tracing
		check_alone
		unload
		check_original cmdline_proc_show
		end_test
	done
done


# - a trampoline as BPF's that shares the function, before the livepatch and after

start_test "trampoline that shares its function"

load_mod $MOD_DIRECT share=1
load
check_shared
unload_mod $MOD_DIRECT
check_alone
load_mod $MOD_DIRECT share=1
check_shared
unload
check_handled cmdline_proc_show
check_unpatched cmdline
unload_mod $MOD_DIRECT
check_original cmdline_proc_show
end_test


# - a kprobe that wants to change the function, too, is not armed.  Some kernels
#   do not tell the module, but list armed kprobes.

start_test "another user that changes the function"

load
if grep -q kprobe_ftrace_ops /proc/kallsyms; then
	echo 1 > "$SYSFS_KPROBES_DIR/enabled"
	insmod test_modules/$MOD_KPROBE.ko has_post_handler=y 2> /dev/null &&
		loaded=y || loaded=n
	grep -q cmdline_proc_show "$SYSFS_KPROBES_DIR/list" &&
		die "two users change the function"
	check_alone
	[[ $loaded == n ]] || rmmod $MOD_KPROBE
else
	echo -n "# left out: kprobes do not use ftrace here ... "
fi
check_alone
unload
end_test


# - calls on each CPU while a tracer comes and goes: all reach the new function

start_test "calls while a tracer comes and goes"

load
start_readers "$LIVE"
echo cmdline_proc_show > $TRACING/set_ftrace_filter
for _ in {1..10}; do
	echo function > $TRACING/current_tracer
	check_handled cmdline_proc_show
	echo nop > $TRACING/current_tracer
	check_jumps cmdline_proc_show $NEW_CMDLINE
	check_background
done
stop_background
reset_tracing
check_alone
unload
end_test


# - the same while the livepatch comes and goes, and with it its memory: calls that
#   are under way come back

start_test "calls while a livepatch comes and goes"

start_readers "$LIVE" "$ORIGINAL"
for _ in {1..5}; do
	load
	check_alone
	unload
	check_original cmdline_proc_show
	check_background
done
stop_background
end_test

start_test "calls while a livepatch and a tracer come and go"

start_readers "$LIVE" "$ORIGINAL"
start_tracer cmdline_proc_show
for _ in {1..5}; do
	load
	check_patched cmdline $MOD_LIVEPATCH
	unload
	check_unpatched cmdline
	check_background
done
stop_background
reset_tracing
check_original cmdline_proc_show
load
check_alone
unload
end_test

finish
