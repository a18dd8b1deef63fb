# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that tests share and functions.sh does not have: for livepatches that are
# refused, transitions that wait, samples, and the two cores.  Scripts source this
# file after functions.sh.
#
# KLP_SAMPLES is the directory of the built samples, if they are not among the running
# kernel's installed modules.

# A limit only ends a wait that would last for ever, so it is long enough for a slow
# machine.  loop_until() waits for at least 5 minutes, too.
MAX_WAIT=300	# seconds
# shellcheck disable=SC2034 # of functions.sh
MAX_RETRIES=$((MAX_WAIT * 10))
KLP_SAMPLES=${KLP_SAMPLES:-/lib/modules/$(uname -r)/kernel/samples/livepatch}

# Scripts read the output of commands as files.  udev, or an initial RAM disk, makes the
# link.
[[ -e /dev/fd/0 ]] ||
	skip "there is no /dev/fd; make it with: ln -s /proc/self/fd /dev/fd"

# Each case prints a line of KTAP beside that of functions.sh.  The functions here
# replace those of functions.sh, and call them under these names.
. "$(dirname "$0")/../kselftest/ktap_helpers.sh"
eval "functions_$(declare -f start_test)"
eval "functions_$(declare -f check_result)"
eval "functions_$(declare -f die)"
eval "functions_$(declare -f cleanup)"
CASE=
MODULES_BEFORE=$(awk '{ print $1 }' /proc/modules)
ktap_print_header

# start_test(test) - begin a case
#	test - its name
function start_test() {
	CASE="$1"
	functions_start_test "$CASE"
}

# check_result(expect) - end the case: the kernel has logged these lines and no others
#	expect - lines of the log
function check_result() {
	functions_check_result "$@"
	passed
}

# pass() - end the case
function pass() {
	echo "ok"
	passed
}

# passed() - print the case's line of KTAP
function passed() {
	ktap_test_pass "$CASE"
	CASE=
}

# skip_case(test, reason) - report a case that cannot run here
#	test - its name
#	reason - why it cannot run
#
# ktap_test_skip() takes no reason, which KTAP expects after the directive.
function skip_case() {
	__ktap_test "ok" "$1" "SKIP $2"
	KTAP_CNT_SKIP=$((KTAP_CNT_SKIP + 1))
}

# die(msg) - end the script, and the case if there is one
#	msg - description of the failure
function die() {
	if [[ -n "$CASE" ]]; then
		# functions.sh has not ended the line of the case yet
		echo
		ktap_test_fail "$CASE"
		CASE=
	fi
	functions_die "$1"
}

# left_modules() - the modules of tests and samples that were loaded since the script began
function left_modules() {
	awk '{ print $1 }' /proc/modules | grep -E '^(test_klp|livepatch)_' | \
		grep -vxF -e "$MODULES_BEFORE"
}

# cleanup() - restore the configuration, and remove the leftovers of a case that failed.
#	A livepatch that stays would let the following scripts fail, too.
function cleanup() {
	local end=$((SECONDS + 60))
	local mod mods

	while mods=$(left_modules) && [[ $SECONDS -lt $end ]]; do
		for mod in $mods; do
			{ echo 0 > "$SYSFS_KLP_DIR/$mod/enabled"; } 2> /dev/null
			rmmod "$mod" 2> /dev/null
		done
		sleep $RETRY_INTERVAL
	done
	[[ -z "$mods" ]] || echo "ERROR: cannot remove" $mods >&2
	functions_cleanup
}

# finish() - end the script after its last case.  A case that fails ends the script
#	before, by die().
function finish() {
	echo "1..$((KTAP_TESTNO - 1))"
	ktap_print_totals
	exit "$KSFT_PASS"
}

# wait_until(cmd) - loop a command until it is successful, for at most $MAX_WAIT
#	cmd - command and its arguments to run
#
# loop_until() limits the number of attempts.  But an attempt that looks at all tasks
# takes seconds on a slow machine.
function wait_until() {
	local cmd="$*"
	local end=$((SECONDS + MAX_WAIT))

	until eval "$cmd"; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep $RETRY_INTERVAL
	done
}

# is_rust() - whether the core is the one in Rust
function is_rust() {
	grep -q ' klp_rust_enable_patch$' /proc/kallsyms
}

# is_over(modname) - whether the transition of a patch is over
function is_over() {
	[[ "$(cat $SYSFS_KLP_DIR/$1/transition)" == 0 ]]
}

# online_cpus() - the numbers of the CPUs that are online, in order.  There can be gaps.
function online_cpus() {
	local part

	for part in $(tr ',' ' ' < /sys/devices/system/cpu/online); do
		seq ${part%-*} ${part#*-}
	done
}

# skip_unless_preemptible() - skip the script if the kernel does not preempt tasks in itself
#
# With PREEMPT_DYNAMIC, the model is chosen at boot, and the one in effect is in
# parentheses.
function skip_unless_preemptible() {
	uname -v | grep -q PREEMPT ||
		skip "this kernel does not preempt itself"
	! grep -qsE '\((none|voluntary)\)' "$SYSFS_DEBUG_DIR/sched/preempt" ||
		skip "this kernel does not preempt itself, as it was booted"
}

# sees_preempted() - whether tasks switch while they are preempted by an interrupt
#
# Of the unwinders, ORC alone can pass the frame of an interrupt.  With the others, such a
# task switches when it sleeps or leaves the kernel, with either core.
function sees_preempted() {
	grep -qw unwind_module_init /proc/kallsyms
}

# hide_signaling() - hide the message that the remaining tasks are signaled: the
#	number of these messages depends on the speed of the machine
function hide_signaling() {
	function dmesg() {
		command dmesg | grep -v 'livepatch: signaling remaining tasks'
	}
}

# new_messages() - the kernel's messages since start_test
function new_messages() {
	dmesg | awk -v last_dmesg="$LAST_DMESG" 'p; $0 == last_dmesg { p=1 }'
}

# write_ok(path, value) - write a value that must be accepted
#	path - file in sysfs
#	value - value to write
function write_ok() {
	local path="$1"; shift
	local value="$1"

	log "% echo $value > $path"
	echo "$value" > "$path" ||
		die "cannot write '$value' to $path"
}

# write_failing(path, value) - write a value that must be refused, log the error
#	path - file in sysfs
#	value - value to write
function write_failing() {
	local path="$1"; shift
	local value="$1"
	local ret

	log "% echo $value > $path"
	ret=$({ echo "$value" > "$path"; } 2>&1) &&
		die "$path unexpectedly accepted '$value'"
	log "$path: ${ret##*: }"
}

# patched_functions() - the functions that are redirected.  ftrace lists them with an
#	I after the number of their users, and an R or a space before the I.
function patched_functions() {
	grep ' ([0-9]*).. I' "$SYSFS_TRACING_DIR/enabled_functions"
}

# tasks_in_state(state) - the thread IDs of the tasks with this patch_state
#	state - -1, 0 or 1
function tasks_in_state() {
	grep -lx -e "$1" /proc/[0-9]*/task/[0-9]*/patch_state 2> /dev/null | \
		awk -F/ '{ print $5 }'
}

# find_worker() - set WORKER to the PID of the kworker in busymod_work_func();
#	fails if the kworker is not asleep, which happens for moments
function find_worker() {
	WORKER=$(grep -l 'busymod_work_func' /proc/[0-9]*/stack 2> /dev/null | \
		awk -F/ '{ print $3 }')
	[[ "$(wc -w <<< "$WORKER")" == "1" ]]
}

# start_busy() - load test_klp_callbacks_busy.ko, a kworker of which sleeps in
#	busymod_work_func(); sets WORKER
function start_busy() {
	load_mod test_klp_callbacks_busy block_transition=Y
	wait_until find_worker ||
		die "no kworker sleeps in busymod_work_func()"
}

# start_sleeper(file, func) - start a process that sleeps in a function of the
#	kernel; sets SLEEPER
#	file - file in /proc that the process reads
#	func - the function in which it then sleeps
function start_sleeper() {
	local file="$1"; shift
	local func="$1"

	cat "/proc/$file" > /dev/null 2>&1 &
	SLEEPER=$!
	wait_until 'grep -q " $func+" /proc/$SLEEPER/stack' ||
		die "process $SLEEPER does not sleep in $func()"
}

# end_processes(pids...) - end processes in the background, and wait for them.  The
#	shell reports a killed job during any command, so both commands are silent.
function end_processes() {
	[[ $# -gt 0 ]] || return 0
	{ kill -KILL "$@"; wait "$@"; } 2> /dev/null
	return 0
}

CPU1_ONLINE=/sys/devices/system/cpu/cpu1/online
CPU1_TAKEN=

# can_offline() - whether CPU 1 is online and can be taken offline
function can_offline() {
	[[ -e $CPU1_ONLINE && "$(< $CPU1_ONLINE)" == "1" ]]
}

# take_offline() - take CPU 1 offline; the test's trap must call bring_back()
function take_offline() {
	CPU1_TAKEN=1
	echo 0 > $CPU1_ONLINE ||
		die "cannot take CPU 1 offline"
}

# bring_back() - bring CPU 1 back online, if it was taken offline
function bring_back() {
	[[ -n "$CPU1_TAKEN" ]] || return 0
	CPU1_TAKEN=
	echo 1 > $CPU1_ONLINE ||
		die "cannot take CPU 1 online"
}

# check_clean() - die if anything of a livepatch is left in sysfs or ftrace
function check_clean() {
	local left

	left=$(find "$SYSFS_KLP_DIR" -mindepth 1)
	[[ -z "$left" ]] ||
		die "left in sysfs: $left"
	left=$(patched_functions)
	[[ -z "$left" ]] ||
		die "left in ftrace: $left"
}

# sample_path(modname) - the file of a sample; names of C samples have hyphens
function sample_path() {
	local path="$KLP_SAMPLES/$1.ko"

	[[ -f "$path" ]] || path="$KLP_SAMPLES/${1//_/-}.ko"
	echo "$path"
}

# count_messages(regex) - the number of new messages that match
function count_messages() {
	new_messages | grep -cE "$1"
}

# insert_sample(modname, params) - insmod a sample, log the command and its error
#	modname - name of the module
#	params  - module parameters to pass to insmod
function insert_sample() {
	local mod="$1"; shift
	local path msg ret

	path=$(sample_path $mod)
	msg="% insmod ${path##*/} $*"
	log "${msg%% }"
	ret=$(insmod "$path" "$@" 2>&1) && return 0
	log "${ret/"$KLP_SAMPLES/"}"
	return 1
}

# load_sample(modname, params) - load a sample
function load_sample() {
	local mod="$1"

	insert_sample "$@" ||
		die "failed to load sample $mod"
	loop_until '[[ -e "/sys/module/$mod" ]]' ||
		die "failed to load sample $mod"
}

# load_lp_sample(modname) - load a sample that is a livepatch, wait until its
#	transition is complete
function load_lp_sample() {
	local mod="$1"

	load_sample "$@"
	loop_until 'grep -q '^0$' $SYSFS_KLP_DIR/$mod/transition' ||
		die "failed to complete transition"
}

# is_patched() - whether test_klp_livepatch is in effect
function is_patched() {
	grep -q "this has been live patched" /proc/cmdline
}

# patching_messages(modname), unpatching_messages(modname) - the core's messages
#	when a livepatch is enabled, and disabled, if no task holds it up
function patching_messages() {
	echo "livepatch: enabling patch '$1'
livepatch: '$1': initializing patching transition
livepatch: '$1': starting patching transition
livepatch: '$1': completing patching transition
livepatch: '$1': patching complete"
}

function unpatching_messages() {
	echo "livepatch: '$1': initializing unpatching transition
livepatch: '$1': starting unpatching transition
livepatch: '$1': completing unpatching transition
livepatch: '$1': unpatching complete"
}

# enabled_messages(modname), disabled_messages(modname) - the same for a sample, with
#	the commands of the test, and without messages of callbacks
function enabled_messages() {
	local path

	path=$(sample_path $1)
	echo "livepatch: % insmod ${path##*/}"
	patching_messages $1
}

function disabled_messages() {
	echo "livepatch: % echo 0 > $SYSFS_KLP_DIR/$1/enabled"
	unpatching_messages $1
	echo "livepatch: % rmmod $1"
}

# The states of a module that callbacks print
LIVE="[MODULE_STATE_LIVE] Normal state"
# shellcheck disable=SC2034 # for the scripts that source this
COMING="[MODULE_STATE_COMING] Full formed, running module_init"
GOING="[MODULE_STATE_GOING] Going away"

# callbacks_after_targets(modname, suffix) - the case of a sample with callbacks and
#	two targets.  The targets are loaded first, and a task of one of them sleeps
#	in a function that the livepatch changes, so that the transition waits for
#	it.  Both targets are unloaded before the livepatch.
#	modname - the sample
#	suffix  - text that its callbacks print after a step's name, such as pre_patch
function callbacks_after_targets() {
	local lp="$1"; shift
	local suffix="$1"
	local target=livepatch_callbacks_mod
	local busy=livepatch_callbacks_busymod
	local secs path transition late

	path=$(sample_path $lp)
	# The busy target sleeps for a fixed time.  If it wakes up before the livepatch
	# is loaded, begin again with a longer sleep.
	for secs in 10 40 160; do
		load_sample $target
		load_sample $busy sleep_secs=$secs
		loop_until '[[ $(count_messages "busymod_work_func, sleeping") -eq 1 ]]' ||
			die "the busy target does not get to work"
		load_sample $lp
		transition=$(cat $SYSFS_KLP_DIR/$lp/transition)
		late=$(count_messages "busymod_work_func exit")
		check_sysfs_value $lp "$busy/patched" "1"
		loop_until 'grep -q '^0$' $SYSFS_KLP_DIR/$lp/transition' ||
			die "failed to complete transition"
		unload_mod $target
		unload_mod $busy
		disable_lp $lp
		unload_lp $lp
		[[ $late -ne 0 ]] || break
		functions_start_test "a longer sleep than $secs s" > /dev/null
	done
	[[ $late -eq 0 ]] ||
		die "the livepatch is loaded too late each time"
	[[ "$transition" == "1" ]] ||
		die "the transition has not waited for the busy target"

	check_result "livepatch: % insmod ${target//_/-}.ko
livepatch: $target: livepatch_callbacks_mod_init
livepatch: % insmod ${busy//_/-}.ko sleep_secs=$secs
livepatch: $busy: livepatch_callbacks_mod_init
livepatch: $busy: busymod_work_func, sleeping $secs seconds ...
livepatch: % insmod ${path##*/}
livepatch: enabling patch '$lp'
livepatch: '$lp': initializing patching transition
livepatch: $lp: pre_patch$suffix: vmlinux
livepatch: $lp: pre_patch$suffix: $target -> $LIVE
livepatch: $lp: pre_patch$suffix: $busy -> $LIVE
livepatch: '$lp': starting patching transition
livepatch: $busy: busymod_work_func exit
livepatch: '$lp': completing patching transition
livepatch: $lp: post_patch$suffix: vmlinux
livepatch: $lp: post_patch$suffix: $target -> $LIVE
livepatch: $lp: post_patch$suffix: $busy -> $LIVE
livepatch: '$lp': patching complete
livepatch: % rmmod $target
livepatch: $target: livepatch_callbacks_mod_exit
livepatch: $lp: pre_unpatch$suffix: $target -> $GOING
livepatch: reverting patch '$lp' on unloading module '$target'
livepatch: $lp: post_unpatch$suffix: $target -> $GOING
livepatch: % rmmod $busy
livepatch: $busy: livepatch_callbacks_mod_exit
livepatch: $lp: pre_unpatch$suffix: $busy -> $GOING
livepatch: reverting patch '$lp' on unloading module '$busy'
livepatch: $lp: post_unpatch$suffix: $busy -> $GOING
livepatch: % echo 0 > $SYSFS_KLP_DIR/$lp/enabled
livepatch: '$lp': initializing unpatching transition
livepatch: $lp: pre_unpatch$suffix: vmlinux
livepatch: '$lp': starting unpatching transition
livepatch: '$lp': completing unpatching transition
livepatch: $lp: post_unpatch$suffix: vmlinux
livepatch: '$lp': unpatching complete
livepatch: % rmmod $lp"
}
