# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Check whether functions jump, by their code and by ftrace's list of functions.
# Scripts source this file after functions-extra.sh.

MOD_CODE=test_klp_code
CODE_DIR=/sys/module/$MOD_CODE/parameters
TRACING=$SYSFS_TRACING_DIR

# The addresses at which ftrace changes functions, by their names
declare -A LOCATION

# The processes that start_readers() and the like have started
BACKGROUND=()

# setup_jump() - skip the test where functions do not jump, and load the module that
#	shows their code
function setup_jump() {
	is_rust || skip "the C core has no jumps"
	# The kernel has this symbol with CONFIG_LIVEPATCH_RUST_JUMP.
	grep -qE ' klp_jump_target(\.|$)' /proc/kallsyms ||
		skip "functions do not jump in this kernel"
	trap cleanup_jump EXIT INT TERM HUP
	insmod test_modules/$MOD_CODE.ko ||
		die "cannot look at the kernel's code"
}

# end_jump() - end the processes in the background, and unload the module that shows
#	code
function end_jump() {
	end_processes $(jobs -p)
	[[ ! -e $CODE_DIR ]] || rmmod $MOD_CODE
}

# cleanup_jump() - end the test's processes and modules, restore the configuration
function cleanup_jump() {
	end_jump
	cleanup
}

# look_at(func) - set CODE to the instruction of a function that ftrace changes, and
#	ENTRY to the function's lines in ftrace's list
#	func - function that ftrace can change
#
# CODE is "jmp SYMBOL+OFFSET/SIZE", "call SYMBOL+OFFSET/SIZE", or "nop".  ENTRY is
# empty if the function has no user in ftrace.
function look_at() {
	local func="$1"
	local line it

	if [[ -z "${LOCATION[$func]}" ]]; then
		LOCATION[$func]=$(awk -v name="$func" '$2 == name { print $1; exit }' \
			"$TRACING/available_filter_functions_addrs")
		[[ -n "${LOCATION[$func]}" ]] ||
			die "ftrace does not know $func()"
	fi
	echo "0x${LOCATION[$func]}" > $CODE_DIR/address
	CODE=$(< $CODE_DIR/code)

	ENTRY=
	while IFS= read -r line; do
		[[ "$line" == $'\t'* ]] || it=${line%% *}
		[[ "$it" != "$func" ]] || ENTRY+="$line"
	done < "$TRACING/enabled_functions"
}

# unload_target(modname) - unload a module.  Its functions may have other addresses
#	when it is loaded again.
#	modname - module name to unload
function unload_target() {
	unload_mod "$1"
	LOCATION=()
}

# check_jumps(func, new) - die if a function does not jump to its replacement
#	func - function
#	new - the replacement
function check_jumps() {
	local func="$1"; shift
	local new="$1"

	look_at "$func"
	[[ "$CODE" == "jmp $new+0x0/"* ]] ||
		die "$func() does not jump to $new(), but has '$CODE'"
	[[ "$ENTRY" == *" jmp-->$new+0x0/"* ]] ||
		die "ftrace does not know that $func() jumps: '$ENTRY'"
}

# check_handled(func) - die if a function does not call ftrace
function check_handled() {
	local func="$1"

	look_at "$func"
	[[ "$CODE" == "call "* ]] ||
		die "$func() does not call ftrace, but has '$CODE'"
	[[ -n "$ENTRY" && "$ENTRY" != *" jmp-->"* ]] ||
		die "ftrace does not know that $func() calls it: '$ENTRY'"
}

# check_original(func) - die if ftrace has changed a function
function check_original() {
	local func="$1"

	look_at "$func"
	[[ "$CODE" == nop ]] ||
		die "$func() is not as it was, but has '$CODE'"
	[[ -z "$ENTRY" ]] ||
		die "$func() still has a user in ftrace: '$ENTRY'"
}

# check_patched(file, modname) - read a file several times, die if its text does not
#	come from the new function
#	file - file in /proc
#	modname - the livepatch
function check_patched() {
	local file="$1"; shift
	local mod="$1"
	local line

	for _ in {1..20}; do
		read -r line < "/proc/$file"
		[[ "$line" == "$mod: "*patched ]] ||
			die "/proc/$file is not patched: '$line'"
	done
}

# check_unpatched(file) - die if the text of a file does not come from the original
#	function
#	file - file in /proc
function check_unpatched() {
	local line

	read -r line < "/proc/$1"
	[[ "$line" != "test_klp_"*": "*patched ]] ||
		die "/proc/$1 is still patched: '$line'"
}

# start_readers(lines) - start a process on each CPU that reads /proc/cmdline again and
#	again.  It ends when the file's text is none of these lines.
function start_readers() {
	local cpu line expected

	for cpu in $(online_cpus); do
		(
			taskset -cp $cpu $BASHPID > /dev/null || exit
			while IFS= read -r line < /proc/cmdline; do
				for expected; do
					[[ "$line" != "$expected" ]] || continue 2
				done
				break
			done
			echo "/proc/cmdline: '$line'" >&2
			exit 1
		) &
		BACKGROUND+=($!)
	done
}

# start_tracer(func) - start a process that attaches a tracer to this function and
#	detaches it again and again
function start_tracer() {
	echo "$1" > "$TRACING/set_ftrace_filter"
	(
		while :; do
			echo function > "$TRACING/current_tracer" || exit
			echo nop > "$TRACING/current_tracer" || exit
		done
	) &
	BACKGROUND+=($!)
}

# check_background() - die if a process in the background has ended
function check_background() {
	local pid

	for pid in "${BACKGROUND[@]}"; do
		kill -0 $pid 2> /dev/null ||
			die "a process in the background has ended"
	done
}

# stop_background() - end the processes in the background; die if one has ended
#	before
function stop_background() {
	local pid status

	for pid in "${BACKGROUND[@]}"; do
		{ kill $pid; wait $pid; } 2> /dev/null
		status=$?
		# 128 and SIGTERM
		[[ $status -eq 143 ]] ||
			die "a process in the background has ended with status $status"
	done
	BACKGROUND=()
}

# end_test() - end a case.  Other tests check the messages of such operations.
function end_test() {
	check_clean
	pass
}
