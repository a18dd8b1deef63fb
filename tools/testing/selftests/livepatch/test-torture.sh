#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Torture: visitors call functions, and livepatches of all these functions come and go
# at random.  The visitors are threads, interrupts, processes in system calls, and tasks
# that exit.  Meanwhile modules come and go, CPUs go offline, tracers, probes and
# trampolines attach, and allocations fail.  No visit may see two versions, and no code
# or data may be used after it is gone.
#
#   MINUTES=1	how long
#   SEED=	repeats the choices of a run, see functions-torture.sh; by default, each
#		run has its own
#   SLEEPERS=200	threads that sleep most of the time
#   FIXED=1	the C core has the fixes "livepatch: Do not look beyond the end of a func
#		stack", "livepatch: Keep tasks that switch themselves from ops that are freed",
#		and "livepatch: Do not switch a task that has just chosen a function", so
#		that the torture leaves less out.  x86's unwinder has a fix, too.

# shellcheck disable=SC2034 # functions-extra.sh and functions-torture.sh read variables

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-fail-nth.sh
. $(dirname $0)/functions-torture.sh

MINUTES=${MINUTES:-1}
FIXED=${FIXED:-0}
[[ $FIXED == 0 ]] || UNWINDER="no report"
SEED=${SEED:-$RANDOM}
SLEEPERS=${SLEEPERS:-200}
MAX_WAIT=3600

TASKS=
LOOPS=()
function end_tasks() {
	# They are a process group: the first of them is its leader.
	[[ -z "$TASKS" ]] || { kill -KILL -- -$TASKS; wait $TASKS; } 2> /dev/null
	TASKS=
}

function cleanup_torture() {
	[[ -z "$SCRATCH" ]] || touch "$SCRATCH/stop"
	end_tasks
	wait
	bring_back
	reset_tracing
	[[ -z "$SCRATCH" ]] || rm -r "$SCRATCH"
	cleanup_injection
}

setup_config
trap cleanup_torture EXIT INT TERM HUP

# The messages of some thousand transitions would drown the others.
echo 'file kernel/livepatch/* -p' > "$SYSFS_DEBUG_DIR/dynamic_debug/control"

# The C core does not survive these parts.
LEAVES=N	# tasks in code that their stacks do not show
EXITING=N	# tasks that have left the task list
FORCE=N		# forced transitions, and modules that go after them
BELOW=N		# a disabled livepatch below another is enabled again
GOES=N		# the module that livepatches patch, too, comes and goes
if is_rust; then
	LEAVES=Y EXITING=Y FORCE=Y BELOW=Y GOES=Y
else
	ktap_print_msg "left out, because the C core does not survive it:" \
		"hidden and exiting tasks, forced transitions"
	if [[ $FIXED == 1 ]]; then
		BELOW=Y GOES=Y
	else
		ktap_print_msg "left out, because the C core has bugs there:" \
			"livepatches enabled again below another," \
			"modules that come and go during a transition"
	fi
fi


# - functions of a livepatch return wrong versions now and then: the torture notices it in
#   each function
# - the livepatch has the canary of a module that is gone: the torture notices it

# The counts of errors, one for each judged function
MIXES=(mixes_near mixes_far mixes_far_too mixes_int_pow mixes_int_sqrt mixes_nested
	mixes_result)

# notices(title, param, counts) - run such a case
#	title - its name
#	param - the livepatch's parameter for this error
#	counts - the numbers in $STATS that count the error
function notices() {
	local title="$1"; shift
	local param="$1"; shift
	local count

	start_test "$title"

	insmod test_modules/$MOD_TORTURE.ko seed=$SEED ||
		die "cannot load $MOD_TORTURE"
	quiet_load $MOD_TARGET
	quiet_load ${MOD_PATCH}1 $param=Y
	for count in "$@"; do
		wait_until 'read_stat $count; [[ $VALUE -gt 0 ]]' ||
			die "not noticed: $count"
	done
	settled ${MOD_PATCH}1
	quiet_unload_lp ${MOD_PATCH}1
	quiet_unload $MOD_TARGET
	quiet_unload $MOD_TORTURE
	check_clean
	pass
}

notices "a mix of versions is noticed" lie "${MIXES[@]}"
notices "the use of a module that is gone is noticed" dead stale


# - a module is unloaded, one function after the other, while tasks look at their own
#   stacks for these functions: the tasks switch, and the module goes

function module_goes() {
	local round seen=0

	start_test "a module goes while tasks switch themselves"

	insmod test_modules/$MOD_TORTURE.ko seed=$SEED ||
		die "cannot load $MOD_TORTURE"
	for round in {1..10}; do
		quiet_load $MOD_TARGET
		put $SLOW 1
		quiet_load ${MOD_PATCH}1
		! in_transition || seen=$((seen + 1))
		unload_target 0 ||
			die "cannot unload $MOD_TARGET"
		put $SLOW 0
		settled ${MOD_PATCH}1
		quiet_unload_lp ${MOD_PATCH}1
	done
	[[ $seen -gt 0 ]] ||
		die "no transition was under way when the module went"
	quiet_unload $MOD_TORTURE
	check_clean
	pass
}

[[ $GOES == N ]] || module_goes


# - everything at once

# find_failing() - set FAILING to the functions in which allocations can be made to fail,
#	and FAIL_PARAM to the parameter of $MOD_FAIL with their names
function find_failing() {
	local func functions=(klp_enable_patch)

	if [[ ! -e $SYSFS_DEBUG_DIR/failslab/reject-start ]]; then
		ktap_print_msg "left out: allocations that fail: the kernel cannot fail them"
		return
	fi
	if [[ -e $SYSFS_DEBUG_DIR/kmemleak ]] && ! grep -q ' __alloc_object$' /proc/kallsyms; then
		ktap_print_msg "left out: allocations that fail: kmemleak's would, too"
		return
	fi
	[[ $GOES == N ]] || functions+=(klp_module_coming)
	# kobj_attr_store() disables and reverses, and $LATER completes.  The core in Rust
	# itself has no names for these that stay the same.
	if is_rust; then
		functions+=(kobj_attr_store klp_module_going "$LATER")
	else
		ktap_print_msg "left out, because the C core warns and leaks:" \
			"allocations that fail when functions leave ftrace"
	fi
	# The compiler may have inlined or renamed some.
	for func in "${functions[@]}"; do
		if grep -q " $func\$" /proc/kallsyms; then
			FAILING+=("$func")
		else
			ktap_print_msg "left out: allocations that fail in $func(): no such symbol"
		fi
	done
	printf -v FAIL_PARAM ',%s' "${FAILING[@]}"
	FAIL_PARAM=functions=${FAIL_PARAM#,}
	if ! try insmod test_modules/$MOD_FAIL.ko $FAIL_PARAM; then
		ktap_print_msg "left out: allocations that fail in ${FAILING[*]}: $ERROR"
		FAILING=()
		return
	fi
	quiet_unload $MOD_FAIL
}

# start_tasks() - start the tasks, all of which must be there
function start_tasks() {
	nice -n 20 ./test_klp-torture $SEED $SLEEPERS > "$SCRATCH/tasks" &
	TASKS=$!
	wait_until '[[ -s "$SCRATCH/tasks" || ! -e /proc/$TASKS ]]'
	[[ -s "$SCRATCH/tasks" ]] ||
		die "cannot start $SLEEPERS threads"
}

# start_all() - load the modules, start the tasks and the loops
function start_all() {
	SCRATCH=$(mktemp -d)
	exec {LOG}< /dev/kmsg
	read_log "$SCRATCH/log"
	# The script and its loops go before the visitors, of which thousands want the CPU.
	renice -n -20 -p $$ > /dev/null
	find_failing
	if [[ ${#FAILING[@]} -ne 0 ]]; then
		setup_injection
		trap cleanup_torture EXIT INT TERM HUP
		quiet_load $MOD_FAIL $FAIL_PARAM
	fi
	find_tracers
	quiet_load $MOD_TORTURE seed=$SEED leaves=$LEAVES exiting=$EXITING
	start_tasks
	[[ $FORCE == N ]] || NEEDED+=(force)
	if [[ $GOES == Y ]]; then
		NEEDED+=(target target_unload)
		start_loop come_and_go
	else
		quiet_load $MOD_TARGET
	fi
	if [[ ${#TRACERS[@]} -ne 0 ]]; then
		NEEDED+=("${TRACERS[@]}")
		start_loop trace
	fi
	if can_offline; then
		NEEDED+=(offline online)
		CPU1_TAKEN=1
		start_loop hotplug
	else
		ktap_print_msg "left out: CPUs that go offline: CPU 1 cannot"
	fi
}

# start_loop(name) - start a loop in the background
function start_loop() {
	$1 &
	LOOPS+=($!)
}

# end_all() - end the tasks and the loops, and unload the modules.  No transition,
#	livepatch or module may stay.
function end_all() {
	local version mod

	touch "$SCRATCH/stop"
	wait "${LOOPS[@]}"
	disarm
	put $CLOSED 1
	[[ -e /proc/$TASKS ]] ||
		die "the tasks have ended by themselves"
	settle $MAX_WAIT ||
		die "the transition of $MOD does not end"
	see_replaced
	for version in $VERSIONS; do
		put $SYSFS_KLP_DIR/$MOD_PATCH$version/enabled 0
		settle $MAX_WAIT ||
			die "the transition of $MOD does not end"
	done
	end_tasks
	bring_back
	for version in $VERSIONS; do
		[[ ! -e /sys/module/$MOD_PATCH$version ]] || gone $MOD_PATCH$version
	done
	for mod in $MOD_TARGET $MOD_DIRECT; do
		[[ ! -e /sys/module/$mod ]] || quiet_unload $mod
	done
	check_clean
}

# missing() - print the kinds of events that have not happened often enough
function missing() {
	local name i
	local needed=(threads works timers readers in_transition far)

	[[ $EXITING == N ]] || needed+=(exiting)
	[[ $LEAVES == N ]] || needed+=(leaves)
	for name in "${needed[@]}"; do
		read_stat $name
		[[ $VALUE -gt 0 ]] || echo "visits of the kind $name"
	done
	for name in load disable; do
		counts $name
		[[ $GOOD -ge 5 ]] || echo "livepatches to $name"
	done
	for name in "${NEEDED[@]}"; do
		counts $name
		[[ $GOOD -gt 0 ]] || echo "successes of $name"
	done
	read_failed
	for i in "${!FAILING[@]}"; do
		[[ ${FAILED[i]} -gt 0 ]] || echo "allocations that fail in ${FAILING[i]}()"
	done
}

# no_error() - whether no visit has found an error; otherwise, sets ERROR
function no_error() {
	local name

	for name in "${MIXES[@]}" stale; do
		read_stat $name
		ERROR="$name: $VALUE"
		[[ $VALUE -eq 0 ]] || return 1
	done
}

# judge() - die if there was an error, or if too little has happened
function judge() {
	no_error || die "$ERROR, with SEED=$SEED"
	[[ -z "$(missing)" ]] ||
		die "too few with SEED=$SEED: $(missing)"
	check_log
}

# The statistics come before the line of the case.
start_test "torture" > /dev/null
echo "# MINUTES=$MINUTES SEED=$SEED SLEEPERS=$SLEEPERS"
start_all
RANDOM=$SEED
begin=$SECONDS
for ((minute = 1; minute <= MINUTES; minute++)); do
	while [[ $SECONDS -lt $((begin + 60 * minute)) ]]; do
		step
	done
	report "minute $minute"
	check_log
	no_error || break
done
# It goes on until each kind of event has come up: on a slow machine, a minute is too short.
end=$((SECONDS + MAX_WAIT))
while [[ -n "$(missing)" && $SECONDS -lt $end ]]; do
	step
done
end_all
report "in all"
judge
[[ ${#FAILING[@]} -eq 0 ]] || quiet_unload $MOD_FAIL
quiet_unload $MOD_TORTURE
echo -n "TEST: torture ... "
pass

finish
