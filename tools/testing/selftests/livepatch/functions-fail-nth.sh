# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Let each allocation of an operation fail in turn, and check that nothing is left
# behind.  Scripts source this file after functions-extra.sh.
#
# test_klp_fail_nth counts the allocations inside calls of some functions, and lets the
# nth of them fail.  n goes up from 1 until the operation makes fewer than n.

# There are some hundred attempts.  So the shell reads files itself where it can, and
# does not start a process for each.
shopt -s globstar nullglob

MOD_FAIL=test_klp_fail_nth
FAIL_DIR=/sys/module/$MOD_FAIL/parameters
ENOMEM="Cannot allocate memory"

# The settings of fault injection from before the test, by their files
declare -A INJECTION

# inject(path, value) - change a setting until the end of the test
#	path - file below $SYSFS_DEBUG_DIR
#	value - value to write
function inject() {
	local path="$SYSFS_DEBUG_DIR/$1"; shift

	INJECTION[$path]=$(< "$path")
	echo "$1" > "$path"
}

# cleanup_injection() - restore the settings of fault injection, and the configuration
function cleanup_injection() {
	local path

	[[ ! -e $FAIL_DIR/nth ]] || echo 0 > $FAIL_DIR/nth
	for path in "${!INJECTION[@]}"; do
		echo "${INJECTION[$path]}" > "$path"
	done
	cleanup
}

# setup_injection() - configure fault injection: every allocation of a task counts, and
#	fails without a message
#
# For each object that is allocated, kmemleak allocates one of its own.  These do not
# count: they do not belong to live patching, and kmemleak switches itself off when
# such an allocation fails.
function setup_injection() {
	local dir start end

	try insmod test_modules/$MOD_FAIL.ko functions=klp_enable_patch ||
		skip "the kernel cannot probe functions: $ERROR"
	quiet_unload $MOD_FAIL

	# Whether the kernel has warned before
	WARNED=$(($(cat /proc/sys/kernel/tainted) & 512))

	# The addresses of the function, and of the next symbol
	read -r start end < <(awk '{ addr[$3] = $1; sorted[NR] = $1 }
		END {
			start = addr["__alloc_object"]
			for (i in sorted)
				if (start && sorted[i] > start && (!end || sorted[i] < end))
					end = sorted[i]
			print start, end
		}' /proc/kallsyms)
	[[ -n "$end" || ! -e $SYSFS_DEBUG_DIR/kmemleak ]] ||
		skip "cannot tell kmemleak's allocations: no symbol __alloc_object"
	trap cleanup_injection EXIT INT TERM HUP
	for dir in failslab fail_page_alloc; do
		inject $dir/verbose 0
		inject $dir/probability 0
		inject $dir/ignore-gfp-wait N
		inject $dir/reject-start "0x${start:-0}"
		inject $dir/reject-end "0x${end:-0}"
	done
	inject fail_page_alloc/ignore-gfp-highmem N
	inject fail_page_alloc/min-order 0
}

# state() - the state that must be the same before and after: files of live patching,
#	modules with the numbers of their users, and functions with users in ftrace
function state() {
	list_state | sort
}

# list_state() - the same, in no order
function list_state() {
	local name references users state rest

	printf '%s\n' "$SYSFS_KLP_DIR"/**
	while read -r name _ references users state _; do
		echo "$name $references $users $state"
	done < /proc/modules
	# Each function, the number of its users, and whether it is redirected
	while read -r name users rest; do
		[[ " $rest" == *" I "* ]] && users+=" redirected"
		echo "$name $users"
	done < "$SYSFS_TRACING_DIR/enabled_functions"
}

# expect_state(state) - wait until nothing is left behind
#	state - state before
#
# The core cleans up later if it needs memory for that and has none.
function expect_state() {
	local before="$1"
	local end=$((SECONDS + MAX_WAIT))

	until [[ "$(state)" == "$before" ]]; do
		[[ $SECONDS -lt $end ]] ||
			die "left behind: $(diff <(echo "$before") <(state))"
		sleep .2
	done
}

# try(command) - run a command that may fail; sets ERROR to its output
function try() {
	ERROR=$("$@" 2>&1)
}

# try_disable(modname) - disable a livepatch, which may fail; sets ERROR
function try_disable() {
	ERROR=$({ echo 0 > "$SYSFS_KLP_DIR/$1/enabled"; } 2>&1)
}

# quiet_load(modname, params), quiet_unload(modname) - load and unload a module without
#	a message in the log
function quiet_load() {
	insmod "test_modules/$1.ko" "${@:2}" ||
		die "cannot load $1"
}

function quiet_unload() {
	local mod="$1"

	loop_until 'rmmod "$mod" 2> /dev/null' ||
		die "cannot unload $mod"
}

# settled(modname) - wait until the transition of a livepatch is over
function settled() {
	local mod="$1"

	loop_until '[[ $(< "$SYSFS_KLP_DIR/$mod/transition") == 0 ]]' ||
		die "transition of $mod does not complete"
}

# gone(modname) - wait until a livepatch has left sysfs, and unload its module
function gone() {
	local mod="$1"

	loop_until '[[ ! -e "$SYSFS_KLP_DIR/$mod" ]]' ||
		die "$mod is not gone"
	quiet_unload "$mod"
}

# quiet_unload_lp(modname) - disable and unload a livepatch
function quiet_unload_lp() {
	try_disable "$1" ||
		die "cannot disable $1: $ERROR"
	gone "$1"
}

# The function that completes a transition which a task has held up
# shellcheck disable=SC2034 # for the scripts
LATER=klp_transition_work_fn

# each_allocation(title, functions, case) - one test.  MIN_ALLOCATIONS is the number of
#	allocations that must have failed at least, by default 1.
#	title - title of the test
#	functions - functions in which allocations fail, with a comma between them
#	case - prefix of the test's functions: <case>_try does the operation,
#	       <case>_failed checks that a failure has changed nothing, <case>_undo
#	       checks that the operation has worked and undoes it
function each_allocation() {
	local title="$1"; shift
	local functions="$1"; shift
	local case="$1"
	local before left status
	local n=1
	local failed=0
	local idle=0
	local begin=$SECONDS

	# The compiler may have inlined or renamed the function.
	if ! try insmod test_modules/$MOD_FAIL.ko functions=$functions; then
		skip_case "$title" "cannot probe $functions: $ERROR"
		return
	fi
	start_test "$title"
	before=$(state)

	while true; do
		echo 0 > $FAIL_DIR/calls
		echo 0 > $FAIL_DIR/returns
		echo $n > $FAIL_DIR/nth
		${case}_try
		status=$?
		loop_until '[[ $(< $FAIL_DIR/calls) -eq $(< $FAIL_DIR/returns) ]]' ||
			die "$functions: does not return"
		left=$(< $FAIL_DIR/nth)
		echo 0 > $FAIL_DIR/nth

		if [[ $status -ne 0 ]]; then
			[[ $left -eq 0 ]] ||
				die "failed when no allocation did: $ERROR"
			[[ "$ERROR" == *"$ENOMEM"* ]] ||
				die "allocation $n failed with a wrong error: $ERROR"
			${case}_failed
			failed=$((failed + 1))
		else
			${case}_undo
		fi
		expect_state "$before"
		log "$title: allocation $n, status $status, $((SECONDS - begin)) s"

		if [[ $left -eq 0 ]]; then
			n=$((n + 1))
			idle=0
		elif [[ $(< $FAIL_DIR/calls) -ne 0 ]]; then
			break
		elif [[ $((idle++)) -ge 20 ]]; then
			die "$functions: not called"
		fi
	done
	quiet_unload $MOD_FAIL

	[[ $((n - 1)) -ge ${MIN_ALLOCATIONS:-1} ]] ||
		die "only $((n - 1)) allocations failed, expected ${MIN_ALLOCATIONS:-1} at least"
	[[ $(($(cat /proc/sys/kernel/tainted) & 512)) -eq $WARNED ]] ||
		die "the kernel warned"
	local said="$((n - 1)) allocations failed in turn, and $failed times the operation"
	log "$title: $said"
	pass
	echo "# $said ($((SECONDS - begin)) s)"
}

# each_removal(title, functions, case) - the same, for an operation that takes functions
#		out of ftrace
#
# Without memory for a new filter, the C core warns (klp_unpatch_func()), and leaks the
# old one.
function each_removal() {
	if is_rust; then
		each_allocation "$@"
	else
		skip_case "$1" "the C core warns and leaks"
	fi
}

# leaks() - the number of leaks, or nothing if the kernel does not look for them
#
# kmemleak reports an object from its second scan on, if it is old enough, so this
# scans twice.
function leaks() {
	[[ -e $SYSFS_DEBUG_DIR/kmemleak ]] || return
	sleep 6
	{ echo scan > $SYSFS_DEBUG_DIR/kmemleak; } 2> /dev/null || return
	echo scan > $SYSFS_DEBUG_DIR/kmemleak
	grep -c '^unreferenced object' $SYSFS_DEBUG_DIR/kmemleak
}
