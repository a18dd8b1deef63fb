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
TRACING=$SYSFS_TRACING_DIR

# The directory in which loops in the background leave their counts.  The loops end when
# it has a file "stop".
SCRATCH=

# How often each action succeeded, and how often it was refused
declare -A SUCCEEDED REFUSED

# The livepatches in the order in which they were enabled, the newest last
ENABLED=()

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

	while in_transition; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep $RETRY_INTERVAL
	done
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

# load(modname, replace, nth) - load a livepatch
#	nth - the allocation that fails, or 0
function load() {
	local mod="$1"; shift
	local replace="$1"; shift
	local nth="$1"
	local status

	[[ ! -e /sys/module/$mod ]] || return 0
	[[ ! -e $FAIL_DIR/nth ]] || put $FAIL_DIR/nth "$nth"
	insmod test_modules/$mod.ko replace=$replace exiting=$EXITING 2> /dev/null
	status=$?
	if [[ -e $FAIL_DIR/nth ]]; then
		get $FAIL_DIR/nth
		put $FAIL_DIR/nth 0
		[[ $nth -eq 0 || $VALUE -ne 0 ]] || did fail_allocation 0
	fi
	did load $status
	[[ $status -ne 0 ]] || ENABLED+=("$mod")
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

# step() - one action
function step() {
	local kind=$((RANDOM % 100))
	local mod=$MOD_PATCH$((RANDOM % 4 + 1))
	local replace=$((RANDOM % 2))
	local nth=$((RANDOM % 4 ? 0 : RANDOM % 60 + 1))
	local next=$((RANDOM % 16))
	local time=.$((RANDOM % 10))$((RANDOM % 10))

	forget
	if [[ $kind -lt 45 ]]; then
		load $mod $replace $nth
	elif [[ $kind -lt 80 ]]; then
		[[ -e $SYSFS_KLP_DIR/$mod ]] || return
		put $SYSFS_KLP_DIR/$mod/enabled 0
		did disable $?
	elif [[ $kind -lt 90 ]]; then
		settle 60
	else
		sleep $time
	fi

	# Transitions are short, so reverse or force one without a pause.
	if [[ $next -lt 4 ]]; then
		reverse
	elif [[ $next -lt 5 ]]; then
		force
	elif [[ $next -lt 8 ]]; then
		settle 60
	fi
}

# goes_on(name, count) - write down a loop's count; fails if the loop has to end
function goes_on() {
	echo "$2" > "$SCRATCH/$1"
	[[ ! -e $SCRATCH/stop ]]
}

# nap(deciseconds) - sleep for a random time below this limit
function nap() {
	local time=$((RANDOM % $1))

	sleep $((time / 10)).$((time % 10))
}

# come_and_go() - loop: load and unload the module that livepatches patch, too
function come_and_go() {
	local count=0

	RANDOM=$((SEED + 1))
	while goes_on modules $count; do
		insmod test_modules/$MOD_TARGET.ko 2> /dev/null
		nap 30
		rmmod $MOD_TARGET 2> /dev/null
		nap 10
		count=$((count + 1))
	done
}

# hotplug() - loop: take CPU 1 offline, and bring it back online
function hotplug() {
	local count=0

	RANDOM=$((SEED + 2))
	while goes_on cpus $count; do
		put $CPU1_ONLINE 0
		nap 30
		put $CPU1_ONLINE 1
		nap 60
		count=$((count + 1))
	done
}

# reset_tracing() - leave nothing in ftrace
function reset_tracing() {
	put $TRACING/current_tracer nop
	[[ ! -e $TRACING/events/kprobes/enable ]] ||
		put $TRACING/events/kprobes/enable 0
	put $TRACING/kprobe_events ""
	put $TRACING/set_ftrace_filter ""
}

# trace() - loop: tracers, probes and trampolines for the functions that change
function trace() {
	local count=0 kind func probe
	local functions=(int_pow int_sqrt test_klp_torture_outer test_klp_torture_near
		test_klp_torture_far)

	RANDOM=$((SEED + 3))
	while goes_on tracers $count; do
		kind=$((RANDOM % 5))
		func=${functions[RANDOM % 5]}
		case $kind in
		0 | 1)
			put $TRACING/set_ftrace_filter "$func"
			[[ $kind == 0 ]] && probe=function || probe=function_graph
			put $TRACING/current_tracer $probe
			;;
		2 | 3)
			[[ $kind == 2 ]] && probe=p || probe=r
			put $TRACING/kprobe_events "$probe:torture $func"
			put $TRACING/events/kprobes/torture/enable 1
			;;
		4)
			insmod test_modules/$MOD_DIRECT.ko share=1 function=int_pow 2> /dev/null
			;;
		esac
		nap 20
		reset_tracing
		[[ ! -e /sys/module/$MOD_DIRECT ]] || rmmod $MOD_DIRECT 2> /dev/null
		nap 10
		count=$((count + 1))
	done
}

# report(when) - print the statistics
#	when - the time that they cover
function report() {
	local name text="# $1:"

	for name in load disable reverse force unload; do
		text+=" $name $((SUCCEEDED[$name]))/$((SUCCEEDED[$name] + REFUSED[$name])),"
	done
	text+=" allocations that failed $((SUCCEEDED[fail_allocation]))"
	for name in modules cpus tracers; do
		get "$SCRATCH/$name"
		text+=", $name $((VALUE))"
	done
	echo "$text"
	echo "#   $(tr '\n' ' ' < $STATS)"
}

# mark_log() - write a mark to the kernel's log, and set MARK to its line
function mark_log() {
	local text

	text="livepatch torture timestamp: $(date --rfc-3339=ns)"
	log "$text"
	loop_until 'dmesg | grep -qF "$text"' ||
		die "the kernel's log does not show: $text"
	MARK=$(dmesg | grep -F "$text")
}

# check_log() - die if the kernel has reported an error since the last mark, or if the mark
#	is gone.  Sets a new mark.
function check_log() {
	local last="$MARK"

	# The new mark comes first, so that no message is between the two looks.
	mark_log
	dmesg | awk -v last="$last" 'p; $0 == last { p = 1 } END { exit !p }' > "$SCRATCH/log" ||
		die "the kernel has dropped messages since the last look: its log is too short"
	! grep -E 'BUG:|WARNING:|Oops|Call Trace:' "$SCRATCH/log" ||
		die "the kernel has reported an error, with SEED=$SEED"
}
