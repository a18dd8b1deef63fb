#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Let ftrace rewrite a function while two CPUs call it, inside the virtual machine.
#
#   dev/guest/machine.sh CALLER ROUNDS
#
# CALLER, from dev/guest/machine-calls.c, runs three times, so that each CPU calls the
# function most of the time.  A machine that translates half-written code dies here.  The
# test uses no livepatch.

caller=$1 rounds=$2
# The name of the function of a system call depends on the architecture.
function=$(grep -m 1 -xE '(__(do|arm64|s390x)_)?sys_getpid' /sys/kernel/tracing/available_filter_functions)
callers=()

# result STATUS [REASON]: end the test.
result() {
	[ ${#callers[@]} = 0 ] || kill "${callers[@]}"
	if [ "$1" = 0 ]; then
		echo "TEST: ftrace rewrites code that two CPUs run ... ok"
	else
		echo "TEST: ftrace rewrites code that two CPUs run ... not ok"
		echo "# $2"
	fi
	exit "$1"
}

[ "$(nproc)" -ge 2 ] || result 1 "there is one CPU only"
cd /sys/kernel/tracing || result 1 "there is no tracefs"
# Without a name, ftrace would trace all functions.
[ -n "$function" ] || result 1 "ftrace knows no function of the system call getpid"
echo "$function" >set_ftrace_filter || result 1 "ftrace does not know $function()"
for _ in 1 2 3; do
	"$caller" &
	callers+=($!)
done

# all_traced: whether the trace has calls of each process.
all_traced() {
	local pid
	for pid in "${callers[@]}"; do
		grep -q "^ *[^ ]*-$pid .*: $function " trace || return 1
	done
}

for ((round = 1; round <= rounds; round++)); do
	echo function >current_tracer || result 1 "round $round: the tracer does not start"
	# The rounds prove nothing if the calls are not traced.
	if [ $((round % 50)) = 1 ]; then
		end=$((SECONDS + 300))
		until all_traced; do
			[ $SECONDS -lt $end ] || result 1 "round $round: some process is not traced"
		done
	fi
	echo nop >current_tracer || result 1 "round $round: the tracer does not stop"
	[ $((round % 50)) != 0 ] || echo "# $round rounds, $SECONDS s"
done
result 0
