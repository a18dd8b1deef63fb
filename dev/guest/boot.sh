#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check a machine that dev/boot.sh has booted.  The output is in the notation that
# dev/lib/judge.sh reads.
#
#   dev/guest/boot.sh STEP,STEP...

patch=livepatch_sample

# check NAME COMMAND...: one test.
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		echo "TEST: $name ... ok"
	else
		echo "TEST: $name ... not ok"
		printf '  failed: %s\n%s\n' "$*" "$output"
	fi
}

patched() {
	[ "$(cat /proc/cmdline)" = "this has been live patched" ]
}

original() {
	grep -q 'console=' /proc/cmdline
}

# active_since UNIT: print the time at which systemd had started it.
active_since() {
	systemctl show --property=ActiveEnterTimestampMonotonic --value "$1"
}

# says TEXT COMMAND...: the command prints the text.
says() {
	local text=$1 output
	shift
	output=$("$@" 2>&1)
	echo "$output"
	grep -qF -e "$text" <<<"$output"
}

for step in ${1//,/ }; do
	case $step in
	install)
		check "klpctl.service runs without a patch" systemctl is-active klpctl.service
		check "a patch is installed" klpctl install "$KBUILD/samples/livepatch/livepatch-sample.ko"
		check "it is not loaded yet" original
		;;
	loaded)
		check "klpctl.service has loaded the patch" systemctl is-active klpctl.service
		check "the function is the new one" patched
		check "klpctl says that it is loaded" says "$patch loaded" eval "klpctl installed | tr -s ' '"
		check "it was loaded before the network" \
			test "$(active_since klpctl.service)" -lt "$(active_since network-pre.target)"
		;;
	crash)
		echo "# all steps are done"
		sync
		echo c >/proc/sysrq-trigger
		;;
	refused)
		check "the patch that was loaded in the crash is not loaded" original
		check "klpctl says why" says crashed klpctl installed
		check "the service says why" says "$patch" systemctl status --no-pager -l klpctl.service
		;;
	allow)
		check "an administrator allows it" klpctl allow $patch
		;;
	off)
		check "the kernel parameter keeps the patch out" original
		check "klpctl.service is skipped" says inactive systemctl is-active klpctl.service
		;;
	*)
		echo "there is no step $step"
		exit 1
		;;
	esac
done
echo "# all steps are done"
