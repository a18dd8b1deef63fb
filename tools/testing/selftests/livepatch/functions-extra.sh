# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of refused livepatches and of transitions that wait share.
# Sourced after functions.sh.

MAX_WAIT=60	# seconds

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
