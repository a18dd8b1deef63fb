#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A livepatch in Rust is unloaded before RCU has dropped one of its shadow variables.
# The RCU callback that drops it runs code of the livepatch's module.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

LP_SHADOW=test_klp_rust_shadow
MOD_SLOW=test_klp_slow_rcu
TRACE=$SYSFS_TRACING_DIR/instances/livepatch_test.$$

setup_config

[[ -e "test_modules/$LP_SHADOW.ko" ]] ||
	skip "no livepatches in Rust"

# cleanup_rcu() - unload the module, and remove the trace instance
function cleanup_rcu() {
	rmmod $MOD_SLOW 2> /dev/null
	rmdir $TRACE 2> /dev/null
	cleanup
}
trap cleanup_rcu EXIT INT TERM HUP

# trace_exit() - trace messages, and calls of the function that the module loader calls
#	after a module's exit function, in their order
function trace_exit() {
	mkdir $TRACE &&
		echo counter > $TRACE/trace_clock &&
		echo blocking_notifier_call_chain > $TRACE/set_ftrace_filter &&
		echo function > $TRACE/current_tracer &&
		echo 1 > $TRACE/events/printk/console/enable
}

# unload_at_once() - disable the livepatch, and try to unload it until it is unloaded.
#	Print when RCU has dropped the variable: after the module's exit function
#	("late"), between the last try and the end of the exit function ("waited"),
#	or before that try ("early").
function unload_at_once() (
	attempt=0
	echo > $TRACE/trace
	echo 0 > $SYSFS_KLP_DIR/$LP_SHADOW/enabled
	until echo "try rmmod" > $TRACE/trace_marker; rmmod $LP_SHADOW 2> /dev/null; do
		[[ $((attempt++)) -lt 5000 ]] || return 1
	done
	awk '/: try rmmod$/ { tried = NR; going = 0 }
	     /: dropping 3$/ { dropped = NR }
	     / rmmod-.*: blocking_notifier_call_chain / && !going { going = NR }
	     END {
		if (!going)
			exit 1
		if (!dropped || dropped > going)
			print "late"
		else
			print (dropped > tried ? "waited" : "early")
	     }' $TRACE/trace
)

trace_exit 2> /dev/null ||
	skip "the end of a module's exit function cannot be traced"


# - RCU is slow to drop a variable, and the module is unloaded as soon as possible
# - with the C core, the module's exit function waits until the variable is dropped
# - the Rust core lets the module go after a grace period of its own, when the
#   variable has been dropped

start_test "Rust shadow variables that RCU is slow to drop"

# With the C core, the script must try to unload the module before RCU has dropped the
# variable.  If a slow machine was too late, it gets more time.
if is_rust; then
	expected=early
	readers=2000
else
	expected=waited
	readers="2000 4000 8000 16000"
fi
for reads_ms in $readers; do
	load_lp $LP_SHADOW no_wait=1
	load_mod $MOD_SLOW reads_ms=$reads_ms
	when=$(unload_at_once) ||
		die "the livepatch cannot be unloaded, or is not traced"
	unload_mod $MOD_SLOW
	[[ "$when" == "early" ]] || break
done
[[ "$when" == "$expected" ]] ||
	die "the variable and the module's exit function: $when, not $expected"
pass

finish
