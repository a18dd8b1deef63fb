#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Functions that jump to their replacements, and other users of ftrace: tracers, probes,
# trampolines such as BPF's.  While another user is attached, the function calls all
# users; when it is gone, the function jumps again.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-jump.sh

MOD_LIVEPATCH=test_klp_livepatch
MOD_DIRECT=test_klp_direct
MOD_KPROBE=test_klp_kprobe

NEW_CMDLINE=livepatch_cmdline_proc_show
LIVE="$MOD_LIVEPATCH: this has been live patched"
ORIGINAL=$(< /proc/cmdline)

# reset_tracing() - remove tracers, the test's probe, and filters
function reset_tracing() {
	echo nop > $TRACING/current_tracer
	if [[ -e $TRACING/events/kprobes/jump ]]; then
		echo 0 > $TRACING/events/kprobes/jump/enable
		echo "-:jump" >> $TRACING/kprobe_events
	fi
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
echo 1 > $TRACING/tracing_on

# load(), unload() - load the livepatch; disable and unload it
function load() {
	load_lp $MOD_LIVEPATCH
}

function unload() {
	disable_lp $MOD_LIVEPATCH
	unload_lp $MOD_LIVEPATCH
}

# check_alone() - die if the function does not jump, or is not patched
function check_alone() {
	check_jumps cmdline_proc_show $NEW_CMDLINE
	check_patched cmdline $MOD_LIVEPATCH
}

# check_shared() - die if the function jumps, or is not patched
function check_shared() {
	check_handled cmdline_proc_show
	check_patched cmdline $MOD_LIVEPATCH
}


# - a tracer or probe is attached after the livepatch is loaded, or before: it sees calls

# start_user(user) - set up a tracer or probe; sets TEXT to a part of its output
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
		echo "$type:jump cmdline_proc_show" >> $TRACING/kprobe_events
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


# - a trampoline such as BPF's shares the function: it is attached before the livepatch
#   is loaded, or after

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


# - a kprobe that would change the function as well is not armed.  Some kernels return
#   no error to the module, but all list the armed kprobes.

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


# - tasks call the function on each CPU while a tracer comes and goes: all calls reach
#   the new function

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


# - the same while the livepatch comes and goes, and its memory with it: calls that have
#   begun return

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
