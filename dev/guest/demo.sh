#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The demonstration, inside the virtual machine.  The script checks each step, and ends
# with status 1 if one does not have the described effect.

sysfs=/sys/kernel/livepatch
samples=$KBUILD/samples/livepatch

tell() {
	printf '%s\n' "$*"
}

# run COMMAND: show it and its output.
run() {
	printf '  # %s\n' "${1//$samples\//}"
	bash -c "$1" 2>&1 | cut -c 1-68 | sed 's/^/    /'
	if [ "${PIPESTATUS[0]}" != 0 ]; then
		tell "FAILED: $1"
		exit 1
	fi
}

# expect TITLE COMMAND: wait for COMMAND to succeed, for as long as a slow machine may
# need.
expect() {
	local end=$((SECONDS + 300))
	until eval "$2" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			tell "FAILED: expected $1: $2"
			exit 1
		fi
		sleep 0.1
	done
}

# uptime_hundredths: print the time since the machine booted, in hundredths of a second.
uptime_hundredths() {
	local uptime
	read -r uptime _ </proc/uptime
	echo $((10#${uptime/./}))
}

# sleeper: print the kernel thread that is inside busymod_work_func().
sleeper() {
	local stack
	stack=$(grep -ls busymod_work_func /proc/[0-9]*/stack | head -n 1)
	stack=${stack#/proc/}
	pid=${stack%/stack}
	[ -n "$pid" ]
}

core=C
! zgrep -q CONFIG_LIVEPATCH_RUST=y /proc/config.gz || core=Rust
tell "Linux $(uname -r), with the live patching core in $core."
tell
tell "A livepatch is a module that carries new versions of kernel functions."
tell "Before it is loaded:"
before=$(cat /proc/cmdline)
begin=$(uptime_hundredths)
run "cat /proc/cmdline"
tell "After, every call of that function goes to the new one:"
run "insmod $samples/livepatch-sample.ko"
expect "the patch to be settled" "grep -q 0 $sysfs/livepatch_sample/transition"
# The sleeper must not wake up before the demonstration has loaded and shown the next
# patch.
sleep_secs=$((15 + ($(uptime_hundredths) - begin) / 10))
run "cat /proc/cmdline"
[ "$(cat /proc/cmdline)" = "this has been live patched" ] || { tell "FAILED: /proc/cmdline is not patched"; exit 1; }
tell
tell "A task inside an old function must not meet a new one. Here is one that"
tell "sleeps inside busymod_work_func(), and a livepatch that changes it:"
run "insmod $samples/livepatch-callbacks-busymod.ko sleep_secs=$sleep_secs"
expect "a task asleep in busymod_work_func()" sleeper
run "insmod $samples/livepatch-callbacks-demo.ko"
demo=$sysfs/livepatch_callbacks_demo
expect "the transition to wait" "grep -q 1 $demo/transition"
expect "all but the sleeper to switch" "grep -q 1 /proc/self/patch_state && grep -q 0 /proc/$pid/patch_state"
tell "The patch is enabled, the object is patched, but the transition waits:"
run "cd $demo && grep . enabled transition livepatch_callbacks_busymod/patched"
tell "for this task (0: still the old function), not for us (1: the new one):"
run "grep . /proc/{$pid,self}/comm /proc/{$pid,self}/patch_state"
tell "It wakes up and returns, and the transition completes:"
expect "the transition to complete" "grep -q 0 $demo/transition"
run "cat $demo/transition"
tell
tell "Both patches are reverted, and the kernel is what it was:"
for patch in livepatch_callbacks_demo livepatch_sample; do
	run "echo 0 > $sysfs/$patch/enabled"
	expect "$patch to be gone" "test ! -e $sysfs/$patch"
	expect "$patch to be unloaded" "rmmod $patch"
done
run "cat /proc/cmdline"
[ "$(cat /proc/cmdline)" = "$before" ] || { tell "FAILED: /proc/cmdline is not what it was"; exit 1; }
if dmesg | grep -E 'BUG:|WARNING:|INFO:|Oops'; then
	tell "FAILED: the kernel complains, above"
	exit 1
fi
