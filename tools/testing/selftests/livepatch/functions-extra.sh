# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of refused livepatches, of transitions that wait and of samples
# share.  Sourced after functions.sh.
#
# KLP_SAMPLES is the folder of the built samples, if it is not where the running
# kernel's modules are installed.

MAX_WAIT=60	# seconds
KLP_SAMPLES=${KLP_SAMPLES:-/lib/modules/$(uname -r)/kernel/samples/livepatch}

# wait_until(cmd) - loop a command until it is successful, for at most $MAX_WAIT
#	cmd - command and its arguments to run
#
# As loop_until(), which limits the number of attempts: one that looks at all
# tasks takes seconds on a slow machine.
function wait_until() {
	local cmd="$*"
	local end=$((SECONDS + MAX_WAIT))

	until eval "$cmd"; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep $RETRY_INTERVAL
	done
}

# new_messages() - the kernel's messages since start_test
function new_messages() {
	dmesg | awk -v last_dmesg="$LAST_DMESG" 'p; $0 == last_dmesg { p=1 }'
}

# write_ok(path, value) - write a value that must be accepted
#	path - file in sysfs
#	value - what to write
function write_ok() {
	local path="$1"; shift
	local value="$1"

	log "% echo $value > $path"
	echo "$value" > "$path" ||
		die "cannot write '$value' to $path"
}

# write_failing(path, value) - write a value that must be refused, log the error
#	path - file in sysfs
#	value - what to write
function write_failing() {
	local path="$1"; shift
	local value="$1"
	local ret

	log "% echo $value > $path"
	ret=$({ echo "$value" > "$path"; } 2>&1) &&
		die "$path unexpectedly accepted '$value'"
	log "$path: ${ret##*: }"
}

# patched_functions() - the functions that have the livepatch ftrace handler
function patched_functions() {
	grep klp_ftrace_handler "$SYSFS_TRACING_DIR/enabled_functions"
}

# check_clean() - die if anything of any livepatch is there
function check_clean() {
	local left

	left=$(find "$SYSFS_KLP_DIR" -mindepth 1)
	[[ -z "$left" ]] ||
		die "left in sysfs: $left"
	left=$(patched_functions)
	[[ -z "$left" ]] ||
		die "left in ftrace: $left"
}

# sample_path(modname) - the file of a sample, which has hyphens if it is in C
function sample_path() {
	local path="$KLP_SAMPLES/$1.ko"

	[[ -f "$path" ]] || path="$KLP_SAMPLES/${1//_/-}.ko"
	echo "$path"
}

# count_messages(regex) - how many of them match
function count_messages() {
	new_messages | grep -cE "$1"
}

# insert_sample(modname, params) - insmod a sample, log and print what it says
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

# The core's messages when a livepatch is enabled and disabled, without those of
# callbacks
function enabled_messages() {
	local path

	path=$(sample_path $1)
	echo "livepatch: % insmod ${path##*/}
livepatch: enabling patch '$1'
livepatch: '$1': initializing patching transition
livepatch: '$1': starting patching transition
livepatch: '$1': completing patching transition
livepatch: '$1': patching complete"
}

function disabled_messages() {
	echo "livepatch: % echo 0 > $SYSFS_KLP_DIR/$1/enabled
livepatch: '$1': initializing unpatching transition
livepatch: '$1': starting unpatching transition
livepatch: '$1': completing unpatching transition
livepatch: '$1': unpatching complete
livepatch: % rmmod $1"
}
