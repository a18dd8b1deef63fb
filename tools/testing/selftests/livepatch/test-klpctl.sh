#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# klpctl: its output agrees with the state of the system, and its commands change the
# system as they report.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh
. $(dirname $0)/functions-klpctl.sh

MOD_LIVEPATCH=test_klp_livepatch
MOD_REPLACE=test_klp_atomic_replace
MOD_TARGET=test_klp_sleep_target
MOD_SLEEP=test_klp_sleep_patch
# klpctl keeps livepatches that are installed here.
STORE=/var/lib/klpctl


start_test "klpctl without a livepatch"

klpctl 5
says "livepatch: none"
klpctl 5 list
klpctl 5 why
klpctl 5 wait
klpctl 5 unload --all
klpctl 5 status --json
says '"system": "none"'
klpctl 2 nonsense
klpctl 2 load
klpctl 1 load test_modules/test_klp_callbacks_mod.ko
says "is not a livepatch"
check_gone test_klp_callbacks_mod
klpctl 1 load "$SCRATCH/none.ko"
pass_clean


start_test "klpctl load, list, unload"

klpctl 0 load --dry-run test_modules/$MOD_LIVEPATCH.ko
says "would run: insmod"
klpctl 1 load test_modules/$MOD_LIVEPATCH.ko /etc/passwd
says "is not a kernel module"
check_gone $MOD_LIVEPATCH
klpctl 0 load test_modules/$MOD_LIVEPATCH.ko
says "$MOD_LIVEPATCH: applied"
is_patched ||
	fail "the patch is not in effect"
klpctl 0
says "livepatch: applied"
klpctl 0 status $MOD_LIVEPATCH
says "$MOD_LIVEPATCH: applied"
klpctl 5 status $MOD_REPLACE
klpctl 0 load test_modules/$MOD_LIVEPATCH.ko
says "is loaded already"
klpctl 0 list -v
# Kernels before 6.1 do not show the state of an object.
STATE=patched
[[ -e $SYSFS_KLP_DIR/$MOD_LIVEPATCH/vmlinux/patched ]] || STATE='[?]'
grep -q "^cmdline_proc_show  *vmlinux  *1  *$STATE  *$MOD_LIVEPATCH\$" "$SCRATCH/output" ||
	fail "klpctl list does not show cmdline_proc_show"
klpctl 0 why
says "no patch is in transition"
klpctl 0 wait
klpctl 1 force --yes
says "nothing to force"
klpctl 0 unload $MOD_LIVEPATCH
check_gone $MOD_LIVEPATCH
! is_patched ||
	fail "the patch is still in effect"
pass_clean


start_test "klpctl status: which patch it is"

klpctl 0 load test_modules/$MOD_LIVEPATCH.ko
klpctl 0 status $MOD_LIVEPATCH
NOTE=/sys/module/$MOD_LIVEPATCH/notes/.note.gnu.build-id
if [[ -e $NOTE ]]; then
	says "build ID: $(od -An -v -t x1 -j 16 $NOTE | tr -d ' \n')"
	DESCRIPTION=$(modinfo -F description test_modules/$MOD_LIVEPATCH.ko)
	says "description: $DESCRIPTION"
	# Another build of that name, as far as klpctl can tell: one byte of the ID differs.
	ID=$(od -An -v -t x1 -j 16 $NOTE | tr -d ' \n')
	PLACE=$(od -An -v -t x1 test_modules/$MOD_LIVEPATCH.ko | tr -d ' \n' |
		awk -v id="$ID" '{ print int(index($0, id) / 2) }')
	cp test_modules/$MOD_LIVEPATCH.ko "$SCRATCH/other.ko"
	BYTE=00
	[[ $ID != 00* ]] || BYTE=ff
	printf "\\x$BYTE" | dd of="$SCRATCH/other.ko" bs=1 seek=$PLACE conv=notrunc status=none
	klpctl 1 load "$SCRATCH/other.ko"
	says "another build of $MOD_LIVEPATCH is loaded"
	# The loaded build stays if klpctl knows that the kernel would refuse the file.
	sed 's/cmdline_proc_show/no_such_function_/g' "$SCRATCH/other.ko" > "$SCRATCH/wrong.ko"
	klpctl 1 load --replace "$SCRATCH/wrong.ko"
	says "vmlinux has no function no_such_function_"
	is_patched ||
		fail "the loaded build is gone"
	if signed_only; then
		klpctl 1 load --replace "$SCRATCH/other.ko"
		says "the kernel does not accept the module's signature"
		says "no build of $MOD_LIVEPATCH is loaded"
		check_gone $MOD_LIVEPATCH
		klpctl 0 load test_modules/$MOD_LIVEPATCH.ko
	else
		klpctl 0 load --replace "$SCRATCH/other.ko"
		says "is unloaded first for build ID $BYTE"
		klpctl 0 status $MOD_LIVEPATCH
		says "build ID: $BYTE"
	fi
fi
klpctl 0 unload $MOD_LIVEPATCH
check_gone $MOD_LIVEPATCH
pass_clean


start_test "klpctl check"

klpctl 0 check test_modules/$MOD_LIVEPATCH.ko test_modules/$MOD_REPLACE.ko
says "changes: cmdline_proc_show of vmlinux"
says "changes: meminfo_proc_show of vmlinux"
check_gone $MOD_LIVEPATCH
klpctl 0 check test_modules/$MOD_DEMO.ko
says "note: $MOD_BUSY is not loaded"
start_busy
klpctl 0 check test_modules/$MOD_DEMO.ko
says "waits: busymod_work_func of $MOD_BUSY is in use by "
says "($WORKER)"
stop_busy
sed 's/cmdline_proc_show/no_such_function_/g' test_modules/$MOD_LIVEPATCH.ko > "$SCRATCH/wrong.ko"
klpctl 8 check "$SCRATCH/wrong.ko"
says "refused: vmlinux has no function no_such_function_"
klpctl 1 load "$SCRATCH/wrong.ko"
if signed_only; then
	says "the kernel does not accept the module's signature"
else
	# The kernel says the same, and klpctl repeats it.
	says "the kernel says: "
	says "symbol 'no_such_function_' not found in symbol table"
fi
check_gone $MOD_LIVEPATCH
pass_clean


# An administrator's livepatches stay as they are, and /var may be read-only.
left_out=
if [[ -e $STORE ]]; then
	left_out="there is a $STORE"
elif ! mkdir $STORE 2> /dev/null; then
	left_out="$STORE cannot be made"
else
	rmdir $STORE
fi

# The file that load --all leaves has the ID of this boot.  Another ID means a crash.
title="klpctl install, and load --all"
if [[ -z "$left_out" ]]; then
	start_test "$title"

	INSTALLED=$STORE
	[[ -e /run/klpctl.watched ]] || WATCHED=/run/klpctl.watched
	touch /run/klpctl.watched
	klpctl 5 installed
	klpctl 0 load --all
	says "no livepatch is installed for $(uname -r)"
	klpctl 0 install test_modules/$MOD_REPLACE.ko test_modules/$MOD_LIVEPATCH.ko
	klpctl 0 load --all
	says "$MOD_REPLACE: applied"
	says "$MOD_LIVEPATCH: applied"
	klpctl 0 installed
	grep -q "$MOD_LIVEPATCH  *loaded" "$SCRATCH/output" ||
		fail "$MOD_LIVEPATCH is not shown as loaded"
	klpctl 0 unload --all
	sed -i 1s/.*/another-boot/ $STORE/running
	klpctl 0 load --all
	grep -qx "$(uname -r) $MOD_REPLACE" $STORE/running ||
		fail "$MOD_REPLACE is not noted"
	klpctl 0 unload --all
	# Another boot has crashed with one of them.
	printf '%s\n' another-boot "$(uname -r) $MOD_REPLACE" > $STORE/running
	klpctl 1 load --all
	says "the machine has crashed, or lost power, while $MOD_REPLACE was loaded"
	says "$MOD_REPLACE is not loaded: it was loaded when the machine crashed"
	is_patched ||
		fail "$MOD_LIVEPATCH is not loaded"
	klpctl 0 allow $MOD_REPLACE
	klpctl 0 load --all
	klpctl 0 unload --all
	klpctl 5 uninstall --kernel 0.1 $MOD_LIVEPATCH
	says "$MOD_LIVEPATCH is not installed for 0.1"
	klpctl 0 load ${MOD_LIVEPATCH//_/-}
	klpctl 0 unload $MOD_LIVEPATCH
	klpctl 0 uninstall $MOD_LIVEPATCH $MOD_REPLACE
	klpctl 5 installed
	rm -rf $STORE $WATCHED
	# shellcheck disable=SC2034 # cleanup_klpctl() reads them
	INSTALLED='' WATCHED=''
	pass_clean
else
	skip_case "$title" "$left_out"
fi


start_test "klpctl with two patches of one function"

klpctl 0 load test_modules/$MOD_LIVEPATCH.ko test_modules/$MOD_REPLACE.ko replace=0
klpctl 0 list
sed -n 2p "$SCRATCH/output" | grep -q "^1 *$MOD_LIVEPATCH " ||
	fail "$MOD_LIVEPATCH is not the first"
sed -n 3p "$SCRATCH/output" | grep -q "^2 *$MOD_REPLACE " ||
	fail "$MOD_REPLACE is not the second"
klpctl 0 unload --all
check_gone $MOD_LIVEPATCH
check_gone $MOD_REPLACE

# A patch that is replaced is disabled, and its module stays loaded.
klpctl 0 load test_modules/$MOD_LIVEPATCH.ko test_modules/$MOD_REPLACE.ko replace=1
loop_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_LIVEPATCH ]]'
klpctl 0 status
grep -q "^$MOD_LIVEPATCH  *disabled" "$SCRATCH/output" ||
	fail "$MOD_LIVEPATCH is not shown as disabled"
klpctl 1 load test_modules/$MOD_LIVEPATCH.ko
klpctl 1 enable $MOD_LIVEPATCH
says "unload its module and load it again"
klpctl 0 unload --all
check_gone $MOD_LIVEPATCH
check_gone $MOD_REPLACE
pass_clean


start_test "klpctl why: a kernel thread"

start_busy
klpctl 3 load --timeout 2 test_modules/$MOD_DEMO.ko
says "The transition has not ended in time."
says "($WORKER), kernel thread, "
waits_for "kernel thread" $WORKER "on function busymod_work_func of $MOD_BUSY"
marked busymod_work_func
grep -qF "or let module $MOD_BUSY finish" "$SCRATCH/why" ||
	fail "no advice"
klpctl 4 status --stuck-after 1
says "livepatch: stuck"
klpctl 4 why $MOD_DEMO --stuck-after 1 --json
says "\"tid\": $WORKER,"
klpctl 3 wait --timeout 1
klpctl 3 load test_modules/$MOD_LIVEPATCH.ko
says "$MOD_DEMO is in transition"
check_gone $MOD_LIVEPATCH
echo N > $BLOCK_PARAM
klpctl 0 wait $MOD_DEMO
says "$MOD_DEMO: applied, after"
klpctl 0 unload $MOD_DEMO
stop_busy
pass_clean


start_test "klpctl why: a user process"

load_mod $MOD_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
klpctl 3 load --timeout 0 test_modules/$MOD_SLEEP.ko
waits_for "user process" $SLEEPER "on function test_klp_sleep_show of $MOD_TARGET"
marked test_klp_sleep_show
end_processes $SLEEPER
klpctl 0 wait

# The next process sleeps in the new function, and holds the unpatching up.
start_sleeper test_klp_sleep livepatch_test_klp_sleep_show
klpctl 3 disable --timeout 1 $MOD_SLEEP
waits_for "user process" $SLEEPER \
	"on function test_klp_sleep_show of $MOD_TARGET, in the version of $MOD_SLEEP"
marked livepatch_test_klp_sleep_show
klpctl 3 status
says "livepatch: reverting"
klpctl 1 status --nagios --stuck-after 3600
says "LIVEPATCH WARNING - $MOD_SLEEP: reverting"
klpctl 0 metrics --stuck-after 3600
says "klp_patch_state{patch=\"$MOD_SLEEP\",state=\"reverting\"} 1"
says "klp_transition_tasks{patch=\"$MOD_SLEEP\",state=\"waiting\"} 1"
klpctl 0 enable $MOD_SLEEP
says "$MOD_SLEEP: applied"
klpctl 3 unload --timeout 1 $MOD_SLEEP
end_processes $SLEEPER
klpctl 0 unload $MOD_SLEEP
check_gone $MOD_SLEEP
unload_mod $MOD_TARGET
pass_clean


# The function has a stack frame that some unwinders cannot unwind.  The kernel's log
# shows whether this kernel's unwinder can.
start_test "klpctl why: an unreliable stack"

load_mod $MOD_TARGET
start_sleeper test_klp_sleep_unreliable test_klp_sleep_unreliable_show
echo "func klp_try_switch_task +p" > "$SYSFS_DEBUG_DIR/dynamic_debug/control"
"$KLPCTL" load --timeout 4 test_modules/$MOD_SLEEP.ko > "$SCRATCH/output" 2>&1
if new_messages | grep -q ": cat:$SLEEPER has an unreliable stack"; then
	waits_for "user process" $SLEEPER "its stack is unreliable (says the kernel)"
	echo "func klp_try_switch_task -p" > "$SYSFS_DEBUG_DIR/dynamic_debug/control"
	# klpctl ignores the message in the log when it is some seconds old.
	sleep 7
	if [[ -d $SYSFS_TRACING_DIR/events/livepatch ]]; then
		# klpctl asks by tracepoints, in a trace instance that it removes again.
		waits_for "user process" $SLEEPER "its stack is unreliable (says the kernel)"
		[[ -z "$(ls -d $SYSFS_TRACING_DIR/instances/klpctl-* 2> /dev/null)" ]] ||
			fail "a trace instance is left"
		[[ "$(cat $SYSFS_TRACING_DIR/events/livepatch/enable)" == "0" ]] ||
			fail "a tracepoint is left on"
		# klpctl traces for a short time, in which a slow kernel may not report.
		for _ in {1..10}; do
			klpctl 0 report --output "$SCRATCH/traced.tar"
			tar -C "$SCRATCH" -xf "$SCRATCH/traced.tar"
			klpctl 3 why --root "$SCRATCH/klpctl-report"
			rm -r "$SCRATCH/klpctl-report"
			grep -qF "(says the kernel)" "$SCRATCH/output" && break
		done
		says "its stack is unreliable (says the kernel)"
	else
		# The kernel does not report it, but klpctl infers it from the stack.
		waits_for "user process" $SLEEPER "its stack is unreliable, it seems"
	fi
elif sees_preempted; then
	fail "the unwinder ORC has unwound a stack frame that is not standard"
fi
echo "func klp_try_switch_task -p" > "$SYSFS_DEBUG_DIR/dynamic_debug/control"
end_processes $SLEEPER
klpctl 0 unload $MOD_SLEEP
unload_mod $MOD_TARGET
pass_clean


start_test "klpctl disable reverses a transition"

start_busy
klpctl 3 load --timeout 0 test_modules/$MOD_DEMO.ko
klpctl 0 disable $MOD_DEMO
says "$MOD_DEMO: disabled"
[[ ! -e $SYSFS_KLP_DIR/$MOD_DEMO && -e /sys/module/$MOD_DEMO ]] ||
	fail "$MOD_DEMO is not disabled"
loop_until '[[ $(cat /sys/module/$MOD_DEMO/refcnt) == "0" ]]'
klpctl 5 status
says "klpctl unload $MOD_DEMO removes it"
klpctl 1 load test_modules/$MOD_DEMO.ko
says "unload it first"
klpctl 0 unload $MOD_DEMO
check_gone $MOD_DEMO
klpctl 7 load --timeout 1 --revert-on-timeout test_modules/$MOD_DEMO.ko
says "$MOD_DEMO was not applied in time, and was taken back"
check_gone $MOD_DEMO
stop_busy
pass_clean


start_test "klpctl load and a signal"

start_busy
interrupted_load 7 TERM --revert-on-timeout
says "SIGTERM: $MOD_DEMO was not applied yet, and was taken back"
check_gone $MOD_DEMO
interrupted_load 143 TERM
says "SIGTERM: the transition of $MOD_DEMO goes on"
klpctl 3 status
klpctl 0 disable $MOD_DEMO
klpctl 0 unload $MOD_DEMO
stop_busy
pass_clean


# Without a notification, klpctl would look again after a day.
title="klpctl watch is woken up"
if is_rust; then
	start_test "$title"

	start_busy
	klpctl 3 load --timeout 0 test_modules/$MOD_DEMO.ko
	# Remove the output of the command before.
	: > "$SCRATCH/output"
	"$KLPCTL" watch --interval 1d --count 2 > "$SCRATCH/output" 2>&1 < /dev/null &
	WATCH=$!
	wait_until '[[ -s "$SCRATCH/output" ]]'
	echo 0 > $SYSFS_KLP_DIR/$MOD_DEMO/enabled
	wait_until '[[ ! -e /proc/$WATCH/exe ]]' ||
		fail "klpctl watch has not looked again"
	wait $WATCH
	STATUS=$?
	# The transition is being reversed, or is over already.
	[[ $STATUS -eq 3 || $STATUS -eq 5 ]] ||
		fail "klpctl watch ends with status $STATUS"
	wait_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_DEMO ]]'
	klpctl 0 unload $MOD_DEMO
	stop_busy
	pass
else
	skip_case "$title" "the C core sends no notifications"
fi


title="klpctl force"
if forced_ever_stays; then
	left_out="the C core before Linux 5.18 never lets go of the module"
	skip_case "$title" "$left_out"
else
	start_test "$title"

	start_busy
	klpctl 3 load --timeout 0 test_modules/$MOD_DEMO.ko
	wait_until '[[ "$(tasks_waiting)" == "$WORKER" ]]'
	klpctl 0 force --dry-run
	says "would run: echo 1 > $SYSFS_KLP_DIR/$MOD_DEMO/force"
	klpctl 2 force
	says "--yes"
	grep -q 1 $SYSFS_KLP_DIR/$MOD_DEMO/transition ||
		fail "the transition was forced without a yes"
	klpctl 0 force --yes
	says "switches 1 task at once"
	[[ "$(cat $SYSFS_KLP_DIR/$MOD_DEMO/transition)" == "0" ]] ||
		fail "the transition was not forced"
	klpctl 6 status
	says "livepatch: forced"
	[[ -e /run/klpctl/$MOD_DEMO:forced ]] ||
		fail "klpctl keeps no record that it has forced $MOD_DEMO"
	echo N > $BLOCK_PARAM
	wait_until '! grep -q busymod_work_func /proc/$WORKER/stack'
	klpctl 0 unload $MOD_DEMO
	[[ ! -e /run/klpctl/$MOD_DEMO:forced ]] ||
		fail "the record that $MOD_DEMO was forced is left"
	stop_busy
	pass_clean
fi


# The C core never lets go of the module of a livepatch that was reverted by force.
title="klpctl with a module that is held"
if is_rust; then
	start_test "$title"

	load_mod $MOD_TARGET
	klpctl 0 load test_modules/$MOD_SLEEP.ko
	start_sleeper test_klp_sleep livepatch_test_klp_sleep_show
	klpctl 3 unload --timeout 0 $MOD_SLEEP
	klpctl 0 force --yes
	says "$MOD_SLEEP: disabled"
	klpctl 5 status
	grep -q "^$MOD_SLEEP  *disabled, held" "$SCRATCH/output" ||
		fail "$MOD_SLEEP is not shown as held"
	klpctl 5 why $MOD_SLEEP
	says "($SLEEPER), user process, "
	says "  > livepatch_test_klp_sleep_show+"
	klpctl 1 unload --timeout 1 $MOD_SLEEP
	says "($SLEEPER), user process, "
	says "module $MOD_SLEEP is still held"
	klpctl 0 report --output "$SCRATCH/held.tar.gz"
	gzip -dc "$SCRATCH/held.tar.gz" | tar -C "$SCRATCH" -xf -
	klpctl 5 why --root "$SCRATCH/klpctl-report" $MOD_SLEEP
	says "($SLEEPER), user process, "
	rm -r "$SCRATCH/klpctl-report"
	end_processes $SLEEPER
	wait_until '[[ "$(cat /sys/module/$MOD_SLEEP/refcnt)" == "0" ]]' ||
		fail "$MOD_SLEEP is still held"
	klpctl 5 list
	grep -q "^- *$MOD_SLEEP  *disabled, free" "$SCRATCH/output" ||
		fail "$MOD_SLEEP is not shown as free"
	klpctl 0 unload $MOD_SLEEP
	check_gone $MOD_SLEEP
	unload_mod $MOD_TARGET
	pass
else
	skip_case "$title" "the C core never lets go of the module"
fi


start_test "klpctl report, and --root"

load_mod $MOD_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
klpctl 3 load --timeout 0 test_modules/$MOD_SLEEP.ko
wait_until '[[ "$(tasks_waiting)" == "$SLEEPER" ]]'
klpctl 0 report --output "$SCRATCH/report.tar"
tar -C "$SCRATCH" -xf "$SCRATCH/report.tar" ||
	fail "the report is no tar file"
! grep -rqE 'ffff[0-9a-f]{12}|0x[0-9a-f]{8}' "$SCRATCH/klpctl-report" ||
	fail "there are addresses in the report"
klpctl 3 why
mv "$SCRATCH/output" "$SCRATCH/live"
klpctl 3 why --root "$SCRATCH/klpctl-report"
# A report has no command lines.
grep -q '^  command: cat ' "$SCRATCH/live" ||
	fail "klpctl why does not show the command"
diff <(sed '1d; /^  command: /d' "$SCRATCH/live") <(sed 1d "$SCRATCH/output") ||
	fail "the report says something else"
klpctl 2 disable $MOD_SLEEP --root "$SCRATCH/klpctl-report"
klpctl 0 disable $MOD_SLEEP --root "$SCRATCH/klpctl-report" --dry-run
klpctl 3 watch --count 2 --interval 0.1
says "($SLEEPER): on function test_klp_sleep_show"
klpctl 3 why --all
says "  > test_klp_sleep_show+"
klpctl 3 why --limit 0
! grep -qF "($SLEEPER)" "$SCRATCH/output" ||
	fail "klpctl why --limit 0 shows a task"

pass
title="klpctl as another user"
if command -v setpriv > /dev/null; then
	start_test "$title"

	chmod 755 "$SCRATCH"
	install -m 755 "$KLPCTL" "$SCRATCH/klpctl"
	ROOT_KLPCTL=$KLPCTL
	KLPCTL=$SCRATCH/as-nobody
	printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s "$@"\n' \
		"$SCRATCH/klpctl" > $KLPCTL
	chmod 755 $KLPCTL
	klpctl 3 status
	says "livepatch: applying"
	says "may not be read; try as root"
	klpctl 3 why
	klpctl 1 disable $MOD_SLEEP
	says "try as root"
	KLPCTL=$ROOT_KLPCTL
	pass
else
	skip_case "$title" "there is no setpriv"
fi
end_processes $SLEEPER
klpctl 0 wait
klpctl 0 unload $MOD_SLEEP
unload_mod $MOD_TARGET
[[ -z "$(ls $SYSFS_KLP_DIR)" ]] ||
	die "left: $(ls $SYSFS_KLP_DIR)"


start_test "klpctl help, and answers to programs"

klpctl 0 --version
says "(klpctl/1)"
klpctl 0 check --json test_modules/$MOD_LIVEPATCH.ko
says '"command": "check"'
klpctl 0 load --json test_modules/$MOD_LIVEPATCH.ko
says '"event":"done"'
for COMMAND in status list why; do
	klpctl 0 $COMMAND --json
	says "\"command\": \"$COMMAND\""
	says "\"exit\": 0"
done
klpctl 0 list --all $MOD_LIVEPATCH
says cmdline_proc_show
klpctl 0 watch --until-done
says "livepatch: applied"
klpctl 0 metrics --output "$SCRATCH/klpctl.prom"
grep -qF "klp_patch_state{patch=\"$MOD_LIVEPATCH\",state=\"applied\"} 1" "$SCRATCH/klpctl.prom" ||
	fail "there is no state of $MOD_LIVEPATCH in the metrics"
klpctl 0 unload --json $MOD_LIVEPATCH
says '"state":"unloaded"'
klpctl 0 status -h
says "usage: klpctl status"
for COMMAND in $(klpctl_commands); do
	klpctl 0 help $COMMAND
	says "usage: klpctl $COMMAND"
done
pass_clean


title="klpctl: each command and option has run"
if [[ -z "$left_out" ]]; then
	start_test "$title"

	[[ $(klpctl_commands | wc -l) -gt 10 ]] ||
		fail "the commands of klpctl are not known"
	untested > "$SCRATCH/output"
	[[ ! -s "$SCRATCH/output" ]] ||
		fail "not every command and option is tested"
	pass_clean
else
	skip_case "$title" "$left_out"
fi

finish
