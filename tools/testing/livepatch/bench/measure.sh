#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measure live patching, in a virtual machine with a time stamp counter that counts
# instructions: qemu-system-x86_64 -icount shift=0,sleep=off -smp 1.  The modules
# are in the directory of this script.  BENCH names the parts to run, of calls,
# functions, jumps, tasks, coming, end and shadow, by default all, or profile.  The
# script writes lines
#
#	figure NAME OBJECT FUNCTIONS TASKS VALUE
#
# with "-" in columns that do not apply.  report.py makes tables and plots of the
# lines of both cores.  Other lines show progress.  If an operation fails or has a
# wrong effect, the script ends with status 1: failed operations have no figures.

modules=$(dirname "$0")
target=klp_bench_target
sysfs=/sys/kernel/livepatch
scratch=$(mktemp -d) || exit
# The files with the names of functions to patch
names=$scratch/names

# figure NAME OBJECT FUNCTIONS TASKS VALUE: print a figure.
figure() {
	printf 'figure %s %s %s %s %s\n' "$@"
}

# fail TEXT...: print a failure and end the script, even from a subshell.
fail() {
	{
		printf 'FAILED: %s\n' "$*"
		dmesg | tail -n 20
	} >&2
	kill $$
	exit 1
}
trap 'exit 1' TERM
trap 'rm -rf "$scratch"' EXIT

# put MODULE PARAMETER VALUE, get MODULE PARAMETER: see the modules' sources.
#
# These functions run no program from the disk: while the machine waits for the
# disk, its clock runs from timer to timer.
put() {
	printf '%s' "$3" >"/sys/module/$1/parameters/$2" || fail "$1: $2 of $3"
}
get() {
	local value
	read -r value <"/sys/module/$1/parameters/$2" || fail "$1: $2"
	printf '%s\n' "$value"
}
load() {
	insmod "$modules/$1.ko" "${@:2}" || fail "loading $*"
}
pause() {
	read -rt "$1" -u "$silence" || true
}
exec {silence}<> <(:)

unload() {
	rmmod "$1" || fail "unloading $1"
}

# load_patch MODULE OBJECT NAMES N [PARAMETER...]
load_patch() {
	local object=()
	[ "$2" = vmlinux ] || object=("object=$2")
	load "$1" names="$3" n="$4" "${object[@]}" "${@:5}"
}

# patch_is MODULE FILE VALUE: a file of a patch in sysfs has this value.
patch_is() {
	local value
	read -r value <"$sysfs/$1/$2" && [ "$value" = "$3" ]
}

# settled MODULE: the patch is enabled, and its transition is complete.
settled() {
	local attempt
	for attempt in {1..250}; do
		! patch_is "$1" transition 0 || ! patch_is "$1" enabled 1 || return 0
		pause 0.02
	done
	fail "$1 is not settled after $attempt attempts"
}

# versions VERSION N: N functions have that version, the others are original.
versions() {
	local count
	read -ra count <<<"$(get $target versions)"
	[ "${count[$1]} ${count[0]}" = "$2 $((2000 - $2))" ] ||
		fail "$2 functions should be of version $1; there are: ${count[*]}"
}

# unused MODULE: no task has called a function of vmlinux that the patch changes.
unused() {
	local name
	name=$(get "$1" called)
	[ "$name" = none ] || fail "$name was patched, and is in use"
}

# went NAME OBJECT N: write the times that the last patch that was waited for took
# until it was gone from sysfs, and until its module was free.
went() {
	local gone idle free
	read -r gone idle free <<<"$(get klp_bench gone)"
	figure "$1" "$2" "$3" - $((gone - idle))
	figure "$1_time" "$2" "$3" - "$gone"
	figure "$1_free" "$2" "$3" - "$free"
}

# phases NAME OBJECT N TASKS MODULE DIRECTION [CALL]: split the last operation into
# patching and the transition, by the times of its messages in the log.  The rest of
# CALL, the time that the call took, is the preparation.
phases() {
	dmesg | awk -v name="$1" -v place="$2 $3 $4" -v patch="'$5'" \
		-v direction="$6" -v call="${7:-0}" '
		function figure(what, ticks) {
			printf "figure %s_%s %s %.0f\n", name, what, place, ticks
		}
		index($0, patch) {
			match($0, /[0-9]+\.[0-9]+\]/)
			now = substr($0, RSTART, RLENGTH - 1) * 1000000000
			if (/enabling patch/)
				enabling = now
			else if ($0 ~ "starting " direction " transition")
				starting = now
			else if ($0 ~ ": " direction " complete")
				complete = now
		}
		END {
			figure("transition", complete - starting)
			if (direction == "patching")
				figure("patch", starting - enabling)
			if (call)
				figure("prepare", call - (complete - enabling))
		}'
}

# memory: print the bytes in use by slab objects of the caches that patches use, by
# vmalloc areas except those for code, and by trampolines, each of which has a page.
memory() {
	local slab vmalloc trampolines cache
	# Free objects that a cache keeps would count as in use.
	for cache in /sys/kernel/slab/{kmalloc,kernfs}*; do
		echo 1 >"$cache/shrink"
	done
	slab=$(awk '/^(kmalloc|kernfs)/ { bytes += $2 * $4 }
		END { printf "%.0f", bytes }' /proc/slabinfo)
	vmalloc=$(awk '!/execmem/ { bytes += $2 } END { printf "%.0f", bytes }' /proc/vmallocinfo)
	trampolines=$(grep -c '\[__builtin__ftrace\]$' /proc/kallsyms)
	echo "$slab $vmalloc $((trampolines * $(getconf PAGESIZE)))"
}

# calls NAME N VERSION PARAMETER: measure calls, which must reach that version.
calls() {
	local ticks version
	read -r ticks version <<<"$(get $target "$4")"
	[ "$version" = "$3" ] || fail "$1: calls reach version $version, not $3"
	figure "$1" $target "$2" - "$ticks"
}

measure_calls() {
	echo "calls"
	load $target
	calls call_unpatched - 0 calls
	load_patch klp_bench_patch $target "$names.module" 1
	put klp_bench_patch enable 1
	settled klp_bench_patch
	calls call_patched 1 1 calls
	load_patch klp_bench_patch2 $target "$names.module" 1
	put klp_bench_patch2 enable 1
	settled klp_bench_patch2
	calls call_twice 1 2 calls
	put klp_bench disable klp_bench_patch2
	unload klp_bench_patch2
	put klp_bench disable klp_bench_patch
	unload klp_bench_patch
	calls call_again - 0 calls

	echo "calls in a transition"
	put $target block 1
	load_patch klp_bench_patch $target "$names.wait" 2
	put klp_bench_patch enable 1
	patch_is klp_bench_patch transition 1 || fail "the transition does not wait"
	calls call_switched 1 1 calls
	calls call_waiting 1 0 calls_blocked
	patch_is klp_bench_patch transition 1 || fail "the transition has not waited"
	put $target block 0
	settled klp_bench_patch
	put klp_bench disable klp_bench_patch
	unload klp_bench_patch
	unload $target
}

# Measure the time from the moment when a task leaves the function that a transition
# waits for, until the transition is complete.  That moment moves through a second, so
# that the figures also cover retries at whole seconds.
measure_end() {
	local ms
	load $target
	for ms in 50 150 250 350 450 550 650 750 850 950; do
		echo "the end of a transition, $ms ms into a second"
		put $target block 1
		load_patch klp_bench_patch $target "$names.wait" 2
		put klp_bench_patch enable 1
		put klp_bench align $ms
		patch_is klp_bench_patch transition 1 || fail "the transition does not wait"
		put $target block 0
		settled klp_bench_patch
		figure end $target 2 - $(($(get klp_bench_patch settled) - $(get $target block)))
		put klp_bench disable klp_bench_patch
		unload klp_bench_patch
	done
	unload $target
}

measure_functions() {
	local object list n before after call call_idle
	load $target
	for object in $target vmlinux; do
		for n in 1 10 100 1000 2000; do
			list=$names.module
			[ "$object" = $target ] || list=$names.vmlinux
			echo "enabling $n functions in $object"
			load_patch klp_bench_patch "$object" "$list" $n
			load_patch klp_bench_patch2 "$object" "$list" $n replace=1
			read -ra before <<<"$(memory)"
			put klp_bench_patch enable 1
			settled klp_bench_patch
			read -ra after <<<"$(memory)"
			read -r call call_idle <<<"$(get klp_bench_patch enable)"
			figure enable "$object" $n - $((call - call_idle))
			figure enable_time "$object" $n - "$call"
			phases enable "$object" $n - klp_bench_patch patching "$call"
			figure memory_slab "$object" $n - $((after[0] - before[0]))
			figure memory_vmalloc "$object" $n - $((after[1] - before[1]))
			figure memory_trampolines "$object" $n - $((after[2] - before[2]))
			if [ "$object" = $target ]; then
				versions 1 $n
				calls call_patched $n 1 calls
			fi

			echo "replacing $n functions in $object"
			put klp_bench_patch2 enable_and_replace klp_bench_patch
			settled klp_bench_patch2
			went replace "$object" $n
			[ "$object" != $target ] || versions 2 $n
			unused klp_bench_patch
			unload klp_bench_patch

			echo "disabling $n functions in $object"
			put klp_bench disable klp_bench_patch2
			went disable "$object" $n
			phases disable "$object" $n - klp_bench_patch2 unpatching
			[ "$object" != $target ] || versions 2 0
			unused klp_bench_patch2
			unload klp_bench_patch2
		done
	done
	unload $target
}

# Measure the cost of letting functions jump to their replacements, and of
# stopping that.
measure_jumps() {
	local object list n jump
	# The functions of the C core do not jump.
	grep -q ' klp_ftrace_jump$' /proc/kallsyms || return 0
	load $target
	for object in $target vmlinux; do
		for n in 1 10 100 1000; do
			list=$names.module
			[ "$object" = $target ] || list=$names.vmlinux
			echo "jumps of $n functions in $object"
			put klp_bench jumps 1
			load_patch klp_bench_patch "$object" "$list" $n
			put klp_bench_patch enable 1
			settled klp_bench_patch
			jump=$(get klp_bench jumps)
			figure settle "$object" $n - "$jump"
			put klp_bench disable klp_bench_patch
			figure handle "$object" $n - $(($(get klp_bench jumps) - jump))
			put klp_bench jumps 0
			unload klp_bench_patch
		done
	done
	unload $target
}

# Measure passes.  A patch replaces one of the same functions, which are in ftrace
# already, so that nearly all of its transition is a pass.  Two modules take turns.
# The first transition counts instructions.  In the second one, a real-time task
# measures how long it has to wait.  Its own instructions would change the count.
measure_tasks() {
	local n tasks there watch version=1 patches=(- klp_bench_patch klp_bench_patch2)
	# The second time counts.  The first time also allocates memory that is kept.
	for n in 1 2; do
		echo "creating and ending 10000 threads, time $n"
		put klp_bench threads 10000
		figure threads - - 10000 "$(get klp_bench threads)"
	done

	load $target
	for n in 1 100 1000; do
		put klp_bench tasks 0
		load_patch "${patches[version]}" $target "$names.module" $n
		put "${patches[version]}" enable 1
		settled "${patches[version]}"
		for tasks in 50 1000 5000; do
			put klp_bench tasks $tasks
			there=$(get klp_bench tasks)
			figure tasks $target $n $tasks "$there"
			for watch in 0 1; do
				echo "a pass over $there tasks with $n functions, watch $watch"
				version=$((3 - version))
				load_patch "${patches[version]}" $target "$names.module" $n \
					replace=1 watch=$watch
				put "${patches[version]}" enable_and_replace \
					"${patches[3 - version]}"
				settled "${patches[version]}"
				versions $version $n
				unload "${patches[3 - version]}"
				if [ $watch = 0 ]; then
					phases pass $target $n $tasks "${patches[version]}" patching
				else
					figure held $target $n $tasks "$(get klp_bench held)"
				fi
			done
		done
		put klp_bench tasks 0
		put klp_bench disable "${patches[version]}"
		unload "${patches[version]}"
	done
	unload $target
}

measure_coming() {
	local n
	for n in 0 1000; do
		echo "a module comes that has $n functions to patch"
		if [ $n != 0 ]; then
			load_patch klp_bench_patch $target "$names.module" $n
			put klp_bench_patch enable 1
			settled klp_bench_patch
		fi
		figure coming $target $n - "$("$modules/init-module" "$modules/$target.ko" ||
			fail "loading $target")"
		versions 1 $n
		unload $target
	done
	put klp_bench disable klp_bench_patch
	unload klp_bench_patch
}

measure_shadow() {
	local n alloc get free all
	for n in 10 10000 100000; do
		echo "shadow variables: $n"
		put klp_bench shadow $n
		read -r alloc get free all <<<"$(get klp_bench shadow)"
		figure shadow_alloc - $n - "$alloc"
		figure shadow_get - $n - "$get"
		figure shadow_free - $n - "$free"
		figure shadow_free_all - $n - "$all"
	done
}

# profiled TITLE MODULE PARAMETER VALUE: put the value, and print the functions that
# take more than one in a hundred of the instructions.
profiled() {
	put klp_bench profile 1
	put "$2" "$3" "$4"
	put klp_bench profile 0
	echo "where instructions go: $1"
	{
		awk '$2 ~ /[tTwW]/ { print $1, "symbol", $3 }' /proc/kallsyms
		od -An -v -w8 -tx8 /sys/kernel/debug/klp_bench | awk '{ print $1, "sample" }'
	} | sort | awk '
		$2 == "symbol" { name = $3; next }
		{ count[name]++; all++ }
		END {
			for (name in count)
				if (count[name] * 100 > all)
					printf "  %5.1f %% %s\n", count[name] * 100 / all, name
		}' | sort -rn
}

# Show where the instructions of the figures are spent.  The benchmark does not
# run this part by itself.
measure_profile() {
	local object list
	load $target
	for object in $target vmlinux; do
		list=$names.module
		[ "$object" = $target ] || list=$names.vmlinux
		load_patch klp_bench_patch "$object" "$list" 1000
		load_patch klp_bench_patch2 "$object" "$list" 1000 replace=1
		profiled "enabling 1000 functions in $object" klp_bench_patch enable 1
		settled klp_bench_patch
		profiled "replacing 1000 functions in $object" \
			klp_bench_patch2 enable_and_replace klp_bench_patch
		unload klp_bench_patch
		settled klp_bench_patch2
		profiled "disabling 1000 functions in $object" klp_bench disable klp_bench_patch2
		unload klp_bench_patch2
	done
	put klp_bench tasks 1000
	load_patch klp_bench_patch $target "$names.module" 1
	profiled "enabling 1 function, 1000 tasks" klp_bench_patch enable 1
	settled klp_bench_patch
	put klp_bench disable klp_bench_patch
	unload klp_bench_patch
	unload $target
}

# Printing to the console must not be measured.
dmesg -n 1
seq -f klp_bench_%g 1000 2999 >"$names.module"
printf '%s\n' klp_bench_1000 klp_bench_wait >"$names.wait"
# Functions of vmlinux with unique names, of parts that no task uses here.
awk 'NR == FNR { count[$3]++; next }
     count[$1] == 1 && /^(acpi|bpf|fuse|input|pci|pnp|quirk|xdp)_/ && NF == 1 { print $1 }' \
	/proc/kallsyms /sys/kernel/tracing/available_filter_functions |
	sort -u | head -n 2000 >"$names.vmlinux"
[ "$(wc -l <"$names.vmlinux")" = 2000 ] ||
	fail "only $(wc -l <"$names.vmlinux") functions of vmlinux are free to be patched"

load klp_bench
echo "calibrating"
figure calibration - - - "$(get klp_bench calibrate)"
figure names vmlinux - - "$(cksum <"$names.vmlinux" | cut -d ' ' -f 1)"
for what in ${BENCH:-calls functions jumps tasks coming end shadow}; do
	"measure_$what"
done
unload klp_bench
! dmesg | grep -E 'BUG:|WARNING:|Oops|rcu:.*stall' || fail "the kernel has reported these errors"
echo "measured"
