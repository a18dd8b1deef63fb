# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How the tour of dev/parity-guest.sh does its steps and records what can be
# seen after each.  Sourced by it, in the virtual machine.
#
# A step's record has what its command said, and the state it left behind; the
# kernel's messages go to one file for all steps, with a mark before each.
# dev/parity.sh puts the two together.

modules=$KBUILD/selftests/livepatch/test_modules
samples=$KBUILD/samples/livepatch
edited=$KBUILD/parity/modules
records=$KBUILD/parity/records
sysfs=/sys/kernel/livepatch
tracing=/sys/kernel/tracing
# Long enough for a machine that is short of time; nothing is expected to last.
limit=60
step=0

# mark TEXT: a line of ours in the kernel's log.
mark() {
	echo "parity: $*" >/dev/kmsg
}

begin_recording() {
	mkdir -p "$records"
	# What the kernel has said before is not the tour's.
	dmesg --clear
	cat /dev/kmsg >"$records/kmsg" &
	logger=$!
	original_cmdline=$(cat /proc/cmdline)
	original_version=$(cat /proc/version)
	original_meminfo=$(head -n 1 /proc/meminfo)
	original_meminfo=${original_meminfo%%:*}
}

# end_recording: not before the last message has reached its file.
end_recording() {
	mark end of the tour
	await "the last message to be recorded" grep -q 'parity: end of the tour' "$records/kmsg"
	kill "$logger"
}

# step NAME COMMAND...: one step.  Nothing may be in flight when it returns,
# unless it is held there.
step() {
	local name=$1
	shift
	step=$((step + 1))
	record=$records/$(printf '%03d' $step)
	echo "$step: $name"
	mark "begin $step $name"
	{
		echo "# $name"
		"$@" 2>&1
		echo "# state"
		state
	} >"$record"
}

# await WHAT COMMAND...: wait for COMMAND to succeed.  A step in which this was
# in vain has failed, on whichever core.
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

# --- What is recorded

state() {
	local file
	echo "sysfs:"
	find $sysfs -mindepth 1 -printf '  %M %u:%g %P\n' | sort -k 3
	grep -r '' $sysfs 2>/dev/null | sed "s|$sysfs/|  |" | sort
	# Which functions ftrace redirects, for how many users, with registers (R),
	# to another address (I), and whether it ever did that (M).  Whose ftrace_ops
	# and trampoline it is, is left out: one for all funcs, or one for each.
	echo "ftrace:"
	awk '/ftrace:|^$/ { next }
	     { line = $1; for (i = 2; i <= NF && $i !~ /^(tramp:|ops:|->)/; i++) line = line " " $i; print "  " line }
	    ' $tracing/enabled_functions | sort
	# Sizes and addresses are the compiler's and the loader's business.
	echo "modules:"
	awk '$1 ~ /klp|livepatch|vmlinux/ { print "  " $1, $3, $4, $5, $7 }' /proc/modules
	echo "effect:"
	effect /proc/cmdline "$original_cmdline"
	[ -n "$held_reader" ] || effect /proc/version "$original_version"
	read -r file </proc/meminfo
	effect "" "$original_meminfo" "${file%%:  *}"
	for file in /proc/test_klp_mod_target /sys/kernel/test_klp_syscall/npids /sys/module/test_klp_relocs/parameters/slots; do
		[ ! -e $file ] || echo "  $file: $(cat $file)"
	done
}

# effect FILE ORIGINAL [TEXT]: what the first line of FILE says now, or TEXT.
effect() {
	local text=${3:-}
	[ -n "$text" ] || read -r text <"$1"
	[ "$text" != "$2" ] || text=original
	echo "  ${1:-/proc/meminfo}: $text"
}

# --- What steps do

# module_file NAME: where the module is.
module_file() {
	local file
	for file in "$modules/$1.ko" "$samples/${1//_/-}.ko" "$edited/$1.ko"; do
		if [ -f "$file" ]; then
			echo "$file"
			return
		fi
	done
	echo "TIMED OUT: there is no module $1" >&2
}

# insert MODULE [PARAMETER...]: without waiting for anything.
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

# put VALUE FILE: write, and tell the error.
put() {
	local said
	if said=$({ echo "$1" >"$2"; } 2>&1); then
		echo "$2: wrote '$1'"
	else
		echo "$2: '$1': ${said##*: }"
	fi
}

# write VALUE FILE: the file is one of a patch, PATCH/FILE.
write() {
	put "$1" "$sysfs/$2"
}

# read_back FILE: the same, what is in it, or the error.
read_back() {
	local said
	said=$(cat "$sysfs/$1" 2>&1)
	echo "$1: ${said##*: }"
}

# settled: no patch is in transition, disabled or replaced; no module is on its
# way; no livepatch module is held by a patch that is gone, unless by force.
settled() {
	local file module
	for file in "$sysfs"/*/transition; do
		[ ! -e "$file" ] || grep -q 0 "$file" || return 1
	done
	for file in "$sysfs"/*/enabled; do
		[ ! -e "$file" ] || grep -q 1 "$file" || return 1
	done
	! grep -qE ' (Loading|Unloading) ' /proc/modules || return 1
	while read -r module _ references _; do
		case " $forced " in *" $module "*) continue ;; esac
		if [ -e "/sys/module/$module/taint" ] && grep -q K "/sys/module/$module/taint" &&
			[ ! -e "$sysfs/$module" ] && [ "$references" != 0 ]; then
			return 1
		fi
	done </proc/modules
}
# Modules that a forced transition keeps for ever.
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

# tasks_in STATE: the tasks with this patch_state.
tasks_in() {
	grep -lx -e "$1" /proc/[0-9]*/task/[0-9]*/patch_state 2>/dev/null | awk -F/ '{ print $5 }'
}

only_in() {
	[ "$(tasks_in "$1")" = "$2" ]
}

# held STATE WHO: wait until WHO (worker or reader) is the last in STATE.
held() {
	local pid=$worker
	[ "$2" = worker ] || pid=$held_reader
	if await "the $2 to be the only task in state $1" only_in "$1" "$pid"; then
		echo "only the $2 is in state $1; we are in state $(cat /proc/self/patch_state)"
	fi
}
worker=
held_reader=

# block_worker: a kworker is in busymod_work_func() of test_klp_callbacks_busy.
block_worker() {
	insert test_klp_callbacks_busy block_transition=Y
	await "the worker" in_function busymod_work_func
	worker=$(in_function busymod_work_func)
}

# in_function FUNCTION: who has it on the stack.
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

# hold_reader: somebody is in the new version of version_proc_show().
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
