# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The steps of the tour, and the record of each step.  dev/guest/parity.sh sources this
# file, in the virtual machine.
#
# A step's record has the output of its command, and the state after it.  The kernel's
# messages go to one file for all steps, with a mark before each step.
# dev/parity/compare.py combines both.

modules=$KBUILD/selftests/livepatch/test_modules
samples=$KBUILD/samples/livepatch
own=$KBUILD/parity/modules
records=$KBUILD/parity/records
sysfs=/sys/kernel/livepatch
tracing=/sys/kernel/tracing
shopt -s globstar nullglob
# The limit is long enough for a busy machine; no step needs nearly as long.
limit=300
step=0

# mark TEXT: write a line into the kernel's log.
mark() {
	echo "parity: $*" >/dev/kmsg
}

begin_recording() {
	mkdir -p "$records"
	# Earlier messages of the kernel do not belong to the tour.
	dmesg --clear
	cat /dev/kmsg >"$records/kmsg" &
	logger=$!
	original_cmdline=$(cat /proc/cmdline)
	original_version=$(cat /proc/version)
	original_meminfo=$(head -n 1 /proc/meminfo)
	original_meminfo=${original_meminfo%%:*}
}

# end_recording: end when the last message has reached its file.
end_recording() {
	mark end of the tour
	await "the last message to be recorded" grep -q 'parity: end of the tour' "$records/kmsg"
	kill "$logger"
}

# step NAME COMMAND...: one step.  When it returns, all operations must have ended, except
# transitions that a task holds up.
step() {
	local name=$1
	shift
	step=$((step + 1))
	printf -v record '%s/%03d' "$records" $step
	echo "$step: $name"
	mark "begin $step $name"
	{
		echo "# $name"
		"$@" 2>&1
		echo "# state"
		state
	} >"$record"
}

# await TITLE COMMAND...: wait for COMMAND to succeed.  If it does not, the step has failed,
# with either core.
await() {
	local what=$1 end=$((SECONDS + limit))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ]; then
			echo "TIMED OUT waiting for $what"
			return 1
		fi
		sleep 0.05
	done
}

# --- The record.  Processes are slow here, so this starts as few as possible.

state() {
	local file text references users word words
	echo "sysfs:"
	for file in "$sysfs"/**; do
		text=
		if [ -f "$file" ]; then
			read -r text 2>/dev/null <"$file" || text="(cannot be read)"
		fi
		echo "  ${file#"$sysfs"/} $text"
	done
	[ -z "$file" ] || stat -c '  %A %U:%G %n' "$sysfs"/**
	# Record the functions that ftrace redirects, the number of their users, and the
	# flags for registers (R), for another address (I), and for one at any earlier time
	# (M).  Leave out the rest of each line: ftrace_ops and trampolines, because the cores
	# have one for all funcs or one for each, and the targets of jumps, because functions of
	# the C core do not jump.
	echo "ftrace:"
	while read -ra words; do
		text=
		for word in "${words[@]}"; do
			case $word in tramp:* | ops:* | '->'*) break ;; esac
			text+=" $word"
		done
		echo " $text"
	done <"$tracing/enabled_functions" | sort
	# Sizes and addresses depend on the compiler and the loader.  After a forced
	# transition, the C core keeps the modules of disabled and replaced patches for ever,
	# and the Rust core lets them go.
	echo "modules:"
	while read -r file _ references users text _ word; do
		[[ " $forced " != *" $file "* || -e $sysfs/$file ]] || continue
		case $file in
		*klp* | *livepatch* | vmlinux) echo "  $file $references $users $text $word" ;;
		esac
	done </proc/modules
	echo "effect:"
	effect /proc/cmdline "$original_cmdline"
	[ -n "$held_reader" ] || effect /proc/version "$original_version"
	read -r text </proc/meminfo
	effect "" "$original_meminfo" "${text%%:  *}"
	for file in /proc/test_klp_mod_target /sys/kernel/test_klp_syscall/npids /sys/module/test_klp_relocs/parameters/slots; do
		[ ! -e $file ] || effect $file
	done
}

# effect FILE [ORIGINAL [TEXT]]: record the present first line of FILE, or TEXT.
effect() {
	local text=${3:-}
	[ -n "$text" ] || read -r text <"$1"
	[ "$text" != "${2:-}" ] || text=original
	echo "  ${1:-/proc/meminfo}: $text"
}

# --- The actions of steps

# module_file NAME: print the file of the module.
module_file() {
	local file
	for file in "$own/$1.ko" "$modules/$1.ko" "$samples/${1//_/-}.ko"; do
		if [ -f "$file" ]; then
			echo "$file"
			return
		fi
	done
	echo "TIMED OUT: there is no module $1" >&2
}

# insert MODULE [PARAMETER...]: load the module, and do not wait.
insert() {
	local module=$1 said
	shift
	if said=$(insmod "$(module_file "$module")" "$@" 2>&1); then
		echo "insmod $module: done"
	else
		echo "insmod $module: ${said##*: }"
	fi
}

# remove MODULE
remove() {
	local said
	if said=$(rmmod "$1" 2>&1); then
		echo "rmmod $1: done"
	else
		echo "rmmod $1: ${said#*ERROR: }"
	fi
}

# put VALUE FILE: write the value, and print the error.
put() {
	local said
	if said=$({ echo "$1" >"$2"; } 2>&1); then
		echo "$2: wrote '$1'"
	else
		echo "$2: '$1': ${said##*: }"
	fi
}

# write VALUE FILE: write the value to a file of a patch, PATCH/FILE.
write() {
	put "$1" "$sysfs/$2"
}

# read_back FILE: print the content of such a file, or the error.
read_back() {
	local said
	said=$(cat "$sysfs/$1" 2>&1)
	echo "$1: ${said##*: }"
}

# settled: no patch is in transition, disabled or replaced; no module is being loaded or
# unloaded; no module of a patch that is gone is held, except after a forced transition.
settled() {
	local file value module references status
	for file in "$sysfs"/*/; do
		read -r value 2>/dev/null <"$file/transition" && [ "$value" = 0 ] || return 1
		read -r value 2>/dev/null <"$file/enabled" && [ "$value" = 1 ] || return 1
	done
	while read -r module _ references _ status _ value; do
		[ "$status" = Live ] || return 1
		case "$value: $forced " in
		*K*:*" $module "*) ;;
		*K*:*) [ "$references" = 0 ] || [ -e "$sysfs/$module" ] || return 1 ;;
		esac
	done </proc/modules
}
# The modules of patches that a forced transition disables or replaces.
forced=

settle() {
	await "everything to settle" settled
}

# load MODULE [PARAMETER...]
load() {
	insert "$@"
	settle
}

write_and_settle() {
	write "$@"
	settle
}

# disable PATCH
disable() {
	write_and_settle 0 "$1/enabled"
}

unload() {
	remove "$1"
	settle
}

# go PATCH...: disable and unload.
go() {
	local patch
	for patch; do
		disable "$patch"
		unload "$patch"
	done
}

# --- Transitions that are held up

# tasks_in STATE: print the tasks with this patch_state.
tasks_in() {
	grep -lx -e "$1" /proc/[0-9]*/task/[0-9]*/patch_state 2>/dev/null | awk -F/ '{ print $5 }'
}

only_in() {
	[ "$(tasks_in "$1")" = "$2" ]
}

# held STATE TASK: wait until TASK (worker or reader) is the last in STATE.
held() {
	local pid=$worker
	[ "$2" = worker ] || pid=$held_reader
	if await "the $2 to be the only task in state $1" only_in "$1" "$pid"; then
		echo "only the $2 is in state $1; we are in state $(cat /proc/self/patch_state)"
	fi
}
worker=
held_reader=

# block_worker: bring a kworker into busymod_work_func() of test_klp_callbacks_busy.
block_worker() {
	insert test_klp_callbacks_busy block_transition=Y
	await "the worker" find_worker
}

# find_worker: fails at moments in which the kworker is awake, because its stack does not
# show the function then.
find_worker() {
	worker=$(in_function busymod_work_func)
}

# in_function FUNCTION: print the tasks that have it on their stacks.
in_function() {
	local found
	found=$(grep -l "$1" /proc/[0-9]*/stack 2>/dev/null | awk -F/ '{ print $3 }')
	echo "$found"
	[ -n "$found" ]
}

release_worker() {
	put N /sys/module/test_klp_callbacks_busy/parameters/block_transition
	await "the worker to leave" not in_function busymod_work_func
	worker=
}

not() {
	! "$@"
}

# hold_reader: bring a reader into the new version of version_proc_show().
hold_reader() {
	put Y /sys/module/test_klp_hold/parameters/hold
	cat /proc/version >/dev/null &
	held_reader=$!
	await "the reader" grep -q hold_version_proc_show "/proc/$held_reader/stack"
}

release_reader() {
	put N /sys/module/test_klp_hold/parameters/hold
	wait "$held_reader"
	held_reader=
}
