# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The parts of the torture: actions on livepatches, and loops that disturb them.
# Scripts source this file after functions-fail-nth.sh.
#
# The script and its loops draw their random numbers before they look at the system, and
# each task of the torture has a sequence of its own.  So a seed repeats the choices of
# each: the steps of the script and of the loops, and for each task its pauses and its
# visits, with the functions that these call.  It does not repeat the times at which the
# kernel gets to them, and so neither the number of the visits, nor the version and the
# modules that each of them finds.  Choices in a visit also depend on these.

MOD_TORTURE=test_klp_torture
MOD_TARGET=test_klp_torture_target
MOD_PATCH=test_klp_torture_patch
MOD_DIRECT=test_klp_direct
VERSIONS="1 2 3 4"

STATS=/proc/test_klp_torture_stats
FORCES=/sys/module/$MOD_TORTURE/parameters/forces
CLOSED=/sys/module/$MOD_TORTURE/parameters/closed
SLOW=/sys/module/$MOD_TORTURE/parameters/slow
TRACING=$SYSFS_TRACING_DIR

# x86's unwinder prints this once if an interrupt comes at one of two instructions of
# return_to_handler(), which the function graph tracer lets functions return to.  It then
# finds the stack unreliable, which is right.
UNWINDER='stack going in the wrong direction? at return_to_handler+'

# The directory in which the script and its loops leave their counts.  The loops end when
# it has a file "stop".
SCRATCH=

# How often each action succeeded, and how often it was refused.  Each is counted by one
# process, the script or one of its loops.
declare -A SUCCEEDED REFUSED

# The actions that have to succeed, because the kernel and the core can do them
NEEDED=(load disable reverse replace unload)

# Tracers, probes and trampolines that the kernel has
TRACERS=()

# The functions in which allocations fail
FAILING=()

# The livepatches in the order in which they were enabled, the newest last
ENABLED=()

# The livepatch that replaces others and was in transition when the script last looked
REPLACING=

# did(action, status) - count an action
#	action - its name
#	status - exit status of its command
function did() {
	local action="$1"; shift

	if [[ $1 -eq 0 ]]; then
		SUCCEEDED[$action]=$((SUCCEEDED[$action] + 1))
	else
		REFUSED[$action]=$((REFUSED[$action] + 1))
	fi
	echo $((SUCCEEDED[$action])) $((REFUSED[$action])) > "$SCRATCH/$action"
}

# counts(action) - set GOOD and BAD to the counts of an action
function counts() {
	GOOD=0 BAD=0
	{ read -r GOOD BAD < "$SCRATCH/$1"; } 2> /dev/null
}

# read_failed() - set FAILED to the numbers of allocations that have failed, in the order
#	of $FAILING
function read_failed() {
	FAILED=()
	[[ ${#FAILING[@]} -eq 0 ]] ||
		IFS=, read -ra FAILED < $FAIL_DIR/failed
}

# get(path) - set VALUE to the value of a file, or to nothing if it is gone
function get() {
	VALUE=
	{ read -r VALUE < "$1"; } 2> /dev/null
}

# put(path, value) - write to a file that may refuse it or be gone
function put() {
	{ echo "$2" > "$1"; } 2> /dev/null
}

# add(path, value) - append a value, which may fail
function add() {
	{ echo "$2" >> "$1"; } 2> /dev/null
}

# read_stat(name) - set VALUE to a number of $STATS
function read_stat() {
	local name

	while read -r name VALUE; do
		[[ "$name" != "$1" ]] || return 0
	done < $STATS
	die "no $1 in $STATS"
}

# in_transition() - set MOD to the livepatch that is in transition
function in_transition() {
	local path

	for path in "$SYSFS_KLP_DIR"/*/transition; do
		get "$path"
		if [[ "$VALUE" == 1 ]]; then
			MOD=${path%/*}
			MOD=${MOD##*/}
			return 0
		fi
	done
	return 1
}

# settle(seconds) - wait until no livepatch is in transition
function settle() {
	local end=$((SECONDS + $1))

	put $SLOW 0
	while in_transition; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep $RETRY_INTERVAL
	done
}

# see_replaced() - count a replacement that has come to its end
function see_replaced() {
	[[ -n "$REPLACING" ]] || return 0
	get "$SYSFS_KLP_DIR/$REPLACING/transition"
	[[ "$VALUE" != 1 ]] || return 0
	# A transition that was reversed has replaced nothing.
	get "$SYSFS_KLP_DIR/$REPLACING/enabled"
	[[ "$VALUE" == 1 ]]
	did replace $?
	REPLACING=
}

# forget() - unload the livepatches that have ended
function forget() {
	local version mod left=()

	for version in $VERSIONS; do
		mod=$MOD_PATCH$version
		[[ -e /sys/module/$mod && ! -e $SYSFS_KLP_DIR/$mod ]] || continue
		rmmod $mod 2> /dev/null
		did unload $?
	done
	for mod in "${ENABLED[@]}"; do
		[[ ! -e $SYSFS_KLP_DIR/$mod ]] || left+=("$mod")
	done
	ENABLED=("${left[@]}")
}

# happened(action) - whether an action has succeeded
function happened() {
	counts $1
	[[ $GOOD -gt 0 ]]
}

# never_failed(function) - whether an allocation in a function can fail, and none has
function never_failed() {
	local i

	read_failed
	for i in "${!FAILING[@]}"; do
		[[ ${FAILING[i]} != "$1" || ${FAILED[i]} -gt 0 ]] || return 0
	done
	return 1
}

# arm(function, nth) - let an allocation fail in the next call of a function
#	nth - which allocation, or 0 for none.  Until one has failed in this function, it is
#	the first.
#
# If another task makes the call before the caller does, its allocation fails instead.
function arm() {
	local nth="$2"

	! never_failed $1 || nth=1
	[[ $nth -eq 0 || ${#FAILING[@]} -eq 0 ]] || put $FAIL_DIR/nth "$nth"
}

# arm_target(function, nth) - the same for the module that comes and goes.  These functions
#	allocate only if there is a livepatch, and otherwise the next one to be loaded
#	would fail instead.
function arm_target() {
	local livepatches=("$SYSFS_KLP_DIR"/*/)

	[[ ${#livepatches[@]} -eq 0 ]] || arm "$@"
}

# disarm() - let no allocation fail
function disarm() {
	[[ ${#FAILING[@]} -eq 0 ]] || put $FAIL_DIR/nth 0
}

# load(modname, replace, nth) - load a livepatch
#	nth - the allocation that fails, or 0
function load() {
	local mod="$1"; shift
	local replace="$1"; shift
	local nth="$1"
	local other others=() status

	[[ ! -e /sys/module/$mod ]] || return 0
	for other in "${ENABLED[@]}"; do
		get "$SYSFS_KLP_DIR/$other/enabled"
		[[ "$VALUE" != 1 ]] || others+=("$other")
	done
	arm klp_enable_patch $nth
	insmod test_modules/$mod.ko replace=$replace exiting=$EXITING 2> /dev/null
	status=$?
	disarm
	did load $status
	[[ $status -eq 0 ]] || return
	ENABLED+=("$mod")
	[[ $replace -eq 0 || ${#others[@]} -eq 0 ]] || REPLACING=$mod
}

# reverse() - reverse the transition that is under way
function reverse() {
	local enabled

	in_transition || return
	get "$SYSFS_KLP_DIR/$MOD/enabled"
	enabled=$VALUE
	[[ -n "$enabled" ]] || return
	if [[ $enabled -eq 0 && "${ENABLED[*]: -1}" != "$MOD" && $BELOW == N ]]; then
		return
	fi
	put "$SYSFS_KLP_DIR/$MOD/enabled" $((1 - enabled))
	did reverse $?
}

# force() - force the transition that is under way.  test_klp_torture does not judge
#	visits in the meantime: see the parameter "forces".
function force() {
	local status

	[[ $FORCE == Y ]] && in_transition || return
	get $FORCES
	put $FORCES $((VALUE + 1))
	put "$SYSFS_KLP_DIR/$MOD/force" 1
	status=$?
	put $FORCES $((VALUE + 2))
	did force $status
}

# finish_without_memory(nth) - let an allocation fail at the end of the transition
function finish_without_memory() {
	in_transition || return
	arm $LATER $1
	settle 60
	disarm
}

# has_first() - whether an action that needs a transition has not succeeded yet.  The
#	first one does not wait for chance: visits hold up transitions until then.
function has_first() {
	! happened reverse || never_failed $LATER ||
		{ [[ $FORCE == Y ]] && ! happened force; }
}

# step() - one action
function step() {
	local kind=$((RANDOM % 100))
	local mod=$MOD_PATCH$((RANDOM % 4 + 1))
	local replace=$((RANDOM % 2))
	local nth=$((RANDOM % 4 ? 0 : RANDOM % 60 + 1))
	local next=$((RANDOM % 16))
	local time=.$((RANDOM % 10))$((RANDOM % 10))

	see_replaced
	forget
	has_first
	put $SLOW $((! $?))
	if [[ $kind -lt 45 ]]; then
		load $mod $replace $nth
	elif [[ $kind -lt 80 ]]; then
		[[ -e $SYSFS_KLP_DIR/$mod ]] || return
		arm kobj_attr_store $((nth % 8))
		put $SYSFS_KLP_DIR/$mod/enabled 0
		did disable $?
		disarm
	elif [[ $kind -lt 90 ]]; then
		settle 60
	else
		sleep $time
	fi

	# Transitions are short, so reverse or force one without a pause.
	if ! happened reverse; then
		reverse
	elif [[ $FORCE == Y ]] && ! happened force; then
		force
	elif never_failed $LATER; then
		finish_without_memory 1
	elif [[ $next -lt 4 ]]; then
		reverse
	elif [[ $next -lt 5 ]]; then
		force
	elif [[ $next -lt 6 ]]; then
		finish_without_memory $((nth % 8))
	elif [[ $next -lt 8 ]]; then
		settle 60
	fi
}

# goes_on() - whether a loop goes on
function goes_on() {
	[[ ! -e $SCRATCH/stop ]]
}

# nap(deciseconds) - sleep for a random time below this limit
function nap() {
	local time=$((RANDOM % $1))

	sleep $((time / 10)).$((time % 10))
}

# unload_target(nth) - unload the module, which visits use nearly all the time: let no
#	more come
#	nth - the allocation that fails, or 0
function unload_target() {
	local end=$((SECONDS + 60)) status

	put $CLOSED 1
	until [[ ! -e /sys/module/$MOD_TARGET ]]; do
		[[ $SECONDS -lt $end ]] && goes_on || break
		sleep $RETRY_INTERVAL
		arm_target klp_module_going $1
		rmmod $MOD_TARGET 2> /dev/null
		disarm
	done
	[[ ! -e /sys/module/$MOD_TARGET ]]
	status=$?
	put $CLOSED 0
	return $status
}

# come_and_go() - loop: load and unload the module that livepatches patch, too
function come_and_go() {
	local nth

	RANDOM=$((SEED + 1))
	while goes_on; do
		arm_target klp_module_coming $((RANDOM % 4 ? 0 : RANDOM % 8 + 1))
		insmod test_modules/$MOD_TARGET.ko 2> /dev/null
		did target $?
		disarm
		nap 30
		nth=$((RANDOM % 4 ? 0 : RANDOM % 4 + 1))
		if [[ -e /sys/module/$MOD_TARGET ]]; then
			unload_target $nth
			did target_unload $?
		fi
		nap 10
	done
}

# hotplug() - loop: take CPU 1 offline, and bring it back online
function hotplug() {
	RANDOM=$((SEED + 2))
	while goes_on; do
		put $CPU1_ONLINE 0
		did offline $?
		nap 30
		put $CPU1_ONLINE 1
		did online $?
		nap 60
	done
}

# reset_tracing() - leave nothing of the torture in ftrace
function reset_tracing() {
	put $TRACING/current_tracer nop
	if [[ -e $TRACING/events/kprobes/torture ]]; then
		put $TRACING/events/kprobes/torture/enable 0
		add $TRACING/kprobe_events "-:torture"
	fi
	put $TRACING/set_ftrace_filter ""
	[[ ! -e /sys/module/$MOD_DIRECT ]] || rmmod $MOD_DIRECT 2> /dev/null
}

# attach(tracer, function) - trace or probe a function, or put a trampoline into it
function attach() {
	local tracer="$1"; shift
	local func="$1"

	case $tracer in
	function | function_graph)
		put $TRACING/set_ftrace_filter "$func" &&
			put $TRACING/current_tracer $tracer
		;;
	kprobe | kretprobe)
		[[ $tracer == kprobe ]] && tracer=p || tracer=r
		add $TRACING/kprobe_events "$tracer:torture $func" &&
			put $TRACING/events/kprobes/torture/enable 1
		;;
	trampoline)
		insmod test_modules/$MOD_DIRECT.ko share=1 function=$func 2> /dev/null
		;;
	esac
}

# find_tracers() - set TRACERS to those that can be attached to a function that the
#	torture does not change
function find_tracers() {
	local tracer

	for tracer in function function_graph kprobe kretprobe trampoline; do
		if attach $tracer cmdline_proc_show; then
			TRACERS+=("$tracer")
		else
			ktap_print_msg "left out: $tracer: none for cmdline_proc_show()"
		fi
		reset_tracing
	done
}

# trace() - loop: tracers, probes and trampolines for the functions that change.  The first
#	rounds take one of each, for functions that stay.
function trace() {
	local count=0 tracer func number
	local functions=(int_pow int_sqrt test_klp_torture_outer test_klp_torture_near
		test_klp_torture_far)

	RANDOM=$((SEED + 3))
	while goes_on; do
		number=$((RANDOM % ${#TRACERS[@]}))
		[[ $count -ge ${#TRACERS[@]} ]] || number=$count
		tracer=${TRACERS[number]}
		# The owner of a trampoline has to keep the function's module.  The one here
		# does not, so its function is none of the module that comes and goes.
		number=$((RANDOM % 5))
		[[ $count -ge ${#TRACERS[@]} && $tracer != trampoline ]] || number=$((number % 4))
		func=${functions[number]}
		attach $tracer $func
		did $tracer $?
		nap 20
		reset_tracing
		nap 10
		count=$((count + 1))
	done
}

# report(when) - print the statistics
#	when - the time that they cover
function report() {
	local name i text="# $1:"

	for name in "${NEEDED[@]}"; do
		counts $name
		text+=" $name $GOOD/$((GOOD + BAD)),"
	done
	read_failed
	text+=" allocations that failed:"
	for i in "${!FAILING[@]}"; do
		text+=" ${FAILED[i]} in ${FAILING[i]},"
	done
	echo "${text%,}"
	echo "#   $(tr '\n' ' ' < $STATS)"
}

# read_log(path) - write the kernel's messages since the last call to a file.  It costs as
#	much as there are new ones.  $LOG is /dev/kmsg.
function read_log() {
	LC_ALL=C dd bs=8192 iflag=nonblock <&$LOG > "$1" 2> "$SCRATCH/error"
	! grep -q 'Broken pipe' "$SCRATCH/error" ||
		die "the kernel has dropped messages since the last look: its log is too short"
	# The end
	grep -q 'temporarily unavailable' "$SCRATCH/error" ||
		die "cannot read the kernel's log: $(< "$SCRATCH/error")"
}

# check_log() - die if the kernel has reported an error since the last look
function check_log() {
	read_log "$SCRATCH/log"
	! grep -vF "$UNWINDER" "$SCRATCH/log" | grep -E 'BUG:|WARNING:|Oops|Call [Tt]race:' ||
		die "the kernel has reported an error, with SEED=$SEED"
}
