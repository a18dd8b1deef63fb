# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that the tests of klpctl share.  Scripts source this file after
# functions-extra.sh.
#
# make -C tools/livepatch builds klpctl.  The tests run $KLPCTL.  If it is not set, they
# run the klpctl in PATH, or else the one in the directory of the scripts.

MOD_BUSY=test_klp_callbacks_busy
MOD_DEMO=test_klp_callbacks_demo

BLOCK_PARAM=/sys/module/$MOD_BUSY/parameters/block_transition

KLPCTL=${KLPCTL:-$(command -v klpctl || realpath -e $(dirname $0)/klpctl 2> /dev/null)}
[[ -x "$KLPCTL" ]] ||
	skip "there is no klpctl; set KLPCTL, or make -C tools/livepatch install"

setup_config

[[ -e /proc/self/stack && -e /proc/self/patch_state ]] ||
	skip "no stack or patch_state in /proc/PID"

SCRATCH=$(mktemp -d)
# Where klpctl keeps installed livepatches, once a test has made klpctl create it
INSTALLED=
# The file by which klpctl knows that a unit watches this boot, if a test has made it
WATCHED=

# cleanup_klpctl() - end the processes of the test, and remove its files
function cleanup_klpctl() {
	kill -KILL $(jobs -p) 2> /dev/null
	rm -rf "$SCRATCH"
	[[ -z "$INSTALLED" ]] || rm -rf "$INSTALLED"
	[[ -z "$WATCHED" ]] || rm -f "$WATCHED"
	cleanup
}
trap cleanup_klpctl EXIT INT TERM HUP

# signed_only() - whether the kernel loads no module that was changed after it was signed
function signed_only() {
	[[ "$(cat /sys/module/module/parameters/sig_enforce 2> /dev/null)" == Y ]]
}

# forced_ever_stays() - whether the core never lets go of the module of a livepatch that
#	was applied by force; later ones keep only those that were reverted or replaced
#	by force
function forced_ever_stays() {
	! is_rust && ! printf '5.18\n%s\n' "$(uname -r)" | sort -C -V
}

# fail(msg) - the case fails: show the last output of klpctl
function fail() {
	echo "not ok"
	sed 's/^/# /' "$SCRATCH/output"
	die "$1"
}

# klpctl(status, args...) - run klpctl, which must exit with this status; its output is
#	in $SCRATCH/output
#
# On a slow machine, a transition that must end may take longer than klpctl waits, and
# one that must not end may last so long that klpctl reports it as stuck.  So this
# lengthens both times.
function klpctl() {
	local expected="$1"; shift
	local status=0

	case "$expected $* " in
	*\ --timeout\ *) ;;
	0\ load\ * | 0\ unload\ * | 0\ enable\ * | 0\ disable\ * | 0\ wait\ *)
		set -- "$@" --timeout $MAX_WAIT ;;
	esac
	[[ "$expected" != "3" ]] ||
		set -- "$@" --stuck-after 3600
	log "% klpctl $*"
	echo "$*" >> "$SCRATCH/commands"
	"$KLPCTL" "$@" > "$SCRATCH/output" 2>&1 < /dev/null || status=$?
	[[ $status -eq $expected ]] ||
		fail "klpctl $* exits with $status, not $expected"
}

# klpctl_commands() - print the commands that klpctl's help names
function klpctl_commands() {
	"$KLPCTL" help |
		awk '/^commands:/ { inside = 1; next } !NF { inside = 0 } inside { print $1 }'
}

# untested() - print the commands and options of klpctl's help that this script has not
#	run
function untested() {
	local name

	for name in $(klpctl_commands); do
		grep -qE "^$name( |$)" "$SCRATCH/commands" || echo "$name"
	done
	# An option may have a short name, too: "-v, --verbose".
	"$KLPCTL" help | sed -nE 's/^  *((-., )?--[a-z-]+) .*/\1/p' | while IFS= read -r name; do
		grep -qE -e " (${name/, /|})( |$)" <(sed 's/^/ /' "$SCRATCH/commands") ||
			echo "$name"
	done
}

# interrupted_load(status, signal, args...) - load $MOD_DEMO, which a task holds up,
#	with a timeout of an hour, and send this signal to klpctl, which must exit with
#	this status
function interrupted_load() {
	local expected="$1" signal="$2"; shift 2
	local pid status=0

	log "% klpctl load --timeout 1h $* & kill -$signal"
	"$KLPCTL" load --timeout 1h "$@" test_modules/$MOD_DEMO.ko \
		> "$SCRATCH/output" 2>&1 < /dev/null &
	pid=$!
	wait_until 'grep -qs 1 $SYSFS_KLP_DIR/$MOD_DEMO/transition' ||
		fail "$MOD_DEMO is not in transition"
	kill -$signal $pid
	wait $pid || status=$?
	[[ $status -eq $expected ]] ||
		fail "klpctl load exits with $status, not $expected"
}

# says(text) - die unless klpctl has printed a line with this text
function says() {
	grep -qF -e "$1" "$SCRATCH/output" ||
		fail "klpctl did not say: $1"
}

# waits_for(kind, pid, reason) - check that klpctl why names this task with this reason,
#	and no other task
function waits_for() {
	local kind="$1" pid="$2" reason="$3"
	local i count

	# All but that task switch within a few seconds.
	wait_until '[[ "$(tasks_waiting)" == "'$pid'" ]]' ||
		fail "waiting: $(tasks_waiting), not $pid"
	# The task may be awake for a moment, and has no stack to show then.
	for i in {1..10}; do
		klpctl 3 why
		grep -A 1 -F "($pid), $kind, " "$SCRATCH/output" | grep -qF -e "  $reason" &&
			break
		[[ $i -lt 10 ]] ||
			fail "the reason of $pid is not: $reason"
	done
	cp "$SCRATCH/output" "$SCRATCH/why"
	count=$(grep -c ', kernel thread, \|, user process, ' "$SCRATCH/why")
	[[ $count -eq 1 ]] ||
		fail "klpctl why names $count tasks"

	klpctl 3 why --json
	says "\"tid\": $pid,"
	klpctl 3 status
	says " 1 of "
}

# marked(frame) - check that this frame is marked in the stack that waits_for has seen,
#	and no other
function marked() {
	[[ "$(grep -c '^  > ' "$SCRATCH/why")" == "1" ]] &&
		grep -qF -e "  > $1+" "$SCRATCH/why" ||
		fail "the frame of $1 is not marked, or not alone"
}

# tasks_waiting() - print the IDs of the tasks that the transition waits for
function tasks_waiting() {
	local state

	state=$(grep -lx 1 $SYSFS_KLP_DIR/*/transition)
	state=$(cat "${state%/transition}/enabled")
	tasks_in_state $((1 - state))
}

# stop_busy() - let the kworker go, and unload its module
function stop_busy() {
	echo N > $BLOCK_PARAM
	unload_mod $MOD_BUSY
}

# check_gone(modname) - die if the patch or its module is left
function check_gone() {
	[[ ! -e "$SYSFS_KLP_DIR/$1" && ! -e "/sys/module/$1" ]] ||
		fail "$1 is still there"
}

# pass_clean() - end a case, after which no livepatch may be left
function pass_clean() {
	[[ -z "$(ls $SYSFS_KLP_DIR)" ]] ||
		fail "left: $(ls $SYSFS_KLP_DIR)"
	pass
}
