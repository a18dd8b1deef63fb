# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # for the scripts that source this
#
# The tests in which a livepatch ends while a task is in its code share these
# functions.  The functions bring a reader of /proc/test_klp_leave_a into the code and
# out of it, and list the kernel's messages.  Scripts source this file after
# functions-extra.sh.

MOD_TARGET=test_klp_leave_target
MOD_PATCH=test_klp_leave_patch
MOD_OTHER=test_klp_leave_other
MOD_LIVEPATCH=test_klp_livepatch

HOLD_PARAM=/sys/module/$MOD_PATCH/parameters/hold

# The parameters of the modules decide when a task leaves their code.  Only stays() waits
# for a time.  So only a broken kernel reaches these limits.
MAX_WAIT=600
MAX_RETRIES=6000

# cleanup_leave() - end the processes of the test, and let tasks leave the functions
function cleanup_leave() {
	local pids param

	pids=$(jobs -p)
	[[ -z "$pids" ]] || kill $pids 2> /dev/null
	# A reader is no job, and one that is stopped would stay in the livepatch.
	[[ -z "$READER" ]] || kill -CONT $READER 2> /dev/null
	for param in /sys/module/test_klp_leave_*/parameters/hold*; do
		[[ ! -e $param ]] || echo N > $param
	done
	cleanup
}

# setup_leave() - configure the machine for such a test
function setup_leave() {
	setup_config
	[[ -e /proc/self/stack && -e /proc/self/patch_state ]] ||
		skip "no stack or patch_state in /proc/PID"
	hide_signaling
	trap cleanup_leave EXIT INT TERM HUP
}

# stays(path, value) - whether a file has a value, and keeps it for some seconds.  On a
#	slow machine this can miss a late change, but never reports a false one.
#	path - file in sysfs
#	value - the value
function stays() {
	local path="$1"; shift
	local value="$1"
	local end=$((SECONDS + 3))
	local now

	while [[ $SECONDS -lt $end ]]; do
		now=
		{ read -r now < "$path"; } 2> /dev/null
		[[ "$now" == "$value" ]] || return 1
		sleep $RETRY_INTERVAL
	done
}

# check_held(modname) - die if the core lets a livepatch's module go
#	modname - livepatch that a task is in
function check_held() {
	local mod="$1"

	stays "/sys/module/$mod/refcnt" 1 ||
		die "module $mod is let go while a task is in it"
}

# check_still_held() - die if the core has let the livepatch's module go
function check_still_held() {
	[[ "$(cat /sys/module/$MOD_PATCH/refcnt)" == "1" ]] ||
		die "module $MOD_PATCH is let go while a task is in it"
}

# check_in_use(modname) - try in vain to unload a livepatch's module, log the error
#	modname - livepatch that a task is in
function check_in_use() {
	local mod="$1"

	check_held "$mod"
	log "% rmmod $mod"
	log "$(rmmod "$mod" 2>&1)"
}

# start_reader(cpu) - start a process that reads /proc/test_klp_leave_a; sets
#	READER to its PID, OUTPUT to a file descriptor that has its output
#	cpu - the CPU that it runs on, by default any
function start_reader() {
	local cpu="$1"

	exec {OUTPUT}< <(exec ${cpu:+taskset -c $cpu} cat /proc/test_klp_leave_a)
	READER=$!
}

# start_stopped_reader() - start a process that has read /proc/test_klp_leave_a by itself,
#	and wait until it has stopped; sets READER and OUTPUT
function start_stopped_reader() {
	exec {OUTPUT}< <(read -r line < /proc/test_klp_leave_a; echo "$line"; kill -STOP $BASHPID)
	READER=$!
	wait_until 'grep -q "^State:.T" /proc/$READER/status' ||
		die "process $READER does not stop"
}

# await_reader(present, absent) - wait until the reader is in a function
#	present - the function
#	absent  - another one, which has reached the first by a sibling call, if any
function await_reader() {
	local present="$1"; shift
	local absent="$1"

	wait_until 'grep -q " $present+" /proc/$READER/stack' ||
		die "process $READER does not get to $present()"
	[[ -z "$absent" ]] || ! grep " $absent+" /proc/$READER/stack ||
		die "the compiler has not made a jump of the sibling call in $absent()"
}

# end_reader(text) - wait for the end of the reader
#	text - its output
function end_reader() {
	local expected="$1"
	local text

	text=$(cat <&$OUTPUT)
	exec {OUTPUT}<&-
	[[ "$text" == "$expected" ]] ||
		die "process $READER has read '$text'"
}

# another_livepatch() - load, disable and unload another livepatch.  If the core can let
#	a module go now, it does so before this function ends.
function another_livepatch() {
	load_lp $MOD_LIVEPATCH
	disable_lp $MOD_LIVEPATCH
	unload_lp $MOD_LIVEPATCH
}

# end_other() - disable and unload the other livepatch
function end_other() {
	disable_lp $MOD_OTHER
	unload_lp $MOD_OTHER
}

# end_stopped_reader(text) - let the reader that has stopped go on to its end
#	text - its output
function end_stopped_reader() {
	kill -CONT $READER
	end_reader "$1"
}

# check_ended() - unload the target, die if anything of a livepatch is left
function check_ended() {
	unload_mod $MOD_TARGET
	check_clean
}

# The kernel's messages that the cases have in common
TARGET="% insmod test_modules/$MOD_TARGET.ko"
TARGET_GONE="% rmmod $MOD_TARGET"
PATCH_GONE="% echo 0 > $SYSFS_KLP_DIR/$MOD_PATCH/enabled
$(unpatching_messages $MOD_PATCH)"
IN_USE="% rmmod $MOD_PATCH
rmmod: ERROR: Module $MOD_PATCH is in use"
ANOTHER="% insmod test_modules/$MOD_LIVEPATCH.ko
$(patching_messages $MOD_LIVEPATCH)
% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$(unpatching_messages $MOD_LIVEPATCH)
% rmmod $MOD_LIVEPATCH"

# patch_messages(params) - messages when the livepatch is loaded with these parameters
function patch_messages() {
	local msg="% insmod test_modules/$MOD_PATCH.ko $*"

	echo "${msg%% }
$(patching_messages $MOD_PATCH)"
}

# other_messages(params) - messages when the other livepatch is loaded
function other_messages() {
	echo "% insmod test_modules/$MOD_OTHER.ko $*
$(patching_messages $MOD_OTHER)"
}

# other_gone_messages() - messages when the other livepatch is disabled and unloaded
function other_gone_messages() {
	echo "% echo 0 > $SYSFS_KLP_DIR/$MOD_OTHER/enabled
$(unpatching_messages $MOD_OTHER)
% rmmod $MOD_OTHER"
}

# can_restart(title, start, end) - run the case of a reader that has read, and can restart
#	the system call in the code of the livepatch
#	title - its name
#	start - function that starts the reader, called with the text that it reads
#	end   - function that ends the reader, called with the same text
#
# - the livepatch is disabled; its module stays
# - meanwhile another livepatch comes and goes
# - the reader ends; the module goes
function can_restart() {
	local title="$1"; shift
	local start="$1"; shift
	local end="$1"

	start_test "$title"

	load_mod $MOD_TARGET
	load_lp $MOD_PATCH reach=restart
	$start "new a"
	disable_lp $MOD_PATCH
	check_in_use $MOD_PATCH
	another_livepatch
	check_still_held
	$end "new a"
	unload_lp $MOD_PATCH
	check_ended

	check_result "$TARGET
$(patch_messages reach=restart)
$PATCH_GONE
$IN_USE
$ANOTHER
% rmmod $MOD_PATCH
$TARGET_GONE"
}
