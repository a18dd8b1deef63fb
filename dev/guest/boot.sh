#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check a machine that dev/boot.sh has booted.  The output is in the notation that
# dev/lib/judge.sh reads.
#
#   dev/guest/boot.sh STEP,STEP...

patch=livepatch_sample
before=test_klp_livepatch
needy=test_klp_leave_patch
late=test_klp_callbacks_demo
busy=test_klp_callbacks_busy
store=/var/lib/klpctl/$(uname -r)
textfiles=/var/lib/prometheus/node-exporter

# shellcheck source=dev/guest/check.sh
. dev/guest/check.sh

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

# service_says TEXT: the log of klpctl.service in this boot has the text.
service_says() {
	says "$1" systemctl status --no-pager -l -n 50 klpctl.service
}

# is WORDS: klpctl has this of an installed patch.
is() {
	says "$1" eval "klpctl installed | tr -s ' '"
}

# all_loaded: klpctl.service has loaded the three patches.
all_loaded() {
	local name
	check "klpctl.service has loaded the patches" systemctl is-active klpctl.service
	check "the function is that of the patch that comes after the other" patched
	for name in $patch $before $needy; do
		check "klpctl says that $name is loaded" is "$name loaded /"
	done
}

for step in ${1//,/ }; do
	case $step in
	fleet)
		# shellcheck source=dev/guest/boot-fleet.sh
		. dev/guest/boot-fleet.sh
		;;
	install)
		check "klpctl.service runs without a patch" systemctl is-active klpctl.service
		for name in livepatch-sample $before $needy; do
			check "$name is installed" klpctl install "/share/$name.ko"
		done
		check "no patch is loaded yet" original
		;;
	loaded)
		all_loaded
		check "the module that $needy needs is loaded" test -d /sys/module/test_klp_leave_target
		check "the patches were loaded before the network" \
			test "$(active_since klpctl.service)" -lt "$(active_since network-pre.target)"
		;;
	metrics)
		mkdir -p $textfiles
		check "the timer of the metrics can be started" systemctl start klpctl-metrics.timer
		check "the metrics can be written" systemctl start klpctl-metrics.service
		check "the metrics have the state of the patch" \
			grep -qxF "klp_patch_state{patch=\"$patch\",state=\"applied\"} 1" $textfiles/klpctl.prom
		;;
	late-first)
		check "$late is installed" klpctl install "/share/$late.ko"
		check "an administrator has it loaded first" sed -i -e "1i $late" -e "/^$late\$/d" "$store/order"
		;;
	late)
		check "a task sleeps in a function of $late" test "$(<"/sys/kernel/livepatch/$late/transition")" = 1
		check "klpctl.service has failed" says failed systemctl is-failed klpctl.service
		check "the network comes all the same" systemctl is-active network-pre.target
		check "the patches that come after it are not loaded" original
		for name in $patch $before $needy; do
			check "the service says that $name is not loaded" service_says "$name is not loaded"
		done
		check "the task leaves the function" tee "/sys/module/$busy/parameters/block_transition" <<<0
		check "the transition ends" klpctl wait "$late"
		check "klpctl.service can be started again" systemctl restart klpctl.service
		all_loaded
		check "$late is uninstalled" klpctl uninstall "$late"
		;;
	break)
		check "a file on the disk is cut short" truncate --size=4096 "$store/$before.ko"
		;;
	broken)
		check "klpctl.service has failed" says failed systemctl is-failed klpctl.service
		check "the service names the file" service_says "$store/$before.ko"
		check "the service says what the patch needs" \
			service_says "$patch is not loaded: it needs $before, which is not applied"
		check "neither is loaded" original
		check "klpctl says that $needy is loaded" is "$needy loaded /"
		;;
	crash)
		echo "# all steps are done"
		sync
		echo c >/proc/sysrq-trigger
		;;
	crash-in-shutdown)
		cat >/run/systemd/system/klp-crash.service <<-'end'
			[Service]
			Type=oneshot
			RemainAfterExit=yes
			ExecStart=/bin/true
			ExecStop=/bin/sh -c 'sleep 5; echo c >/proc/sysrq-trigger'
		end
		systemctl daemon-reload
		check "a service is started that crashes the machine when it stops" systemctl start klp-crash
		;;
	refused)
		check "the patches that were loaded in the crash are not loaded" original
		for name in $patch $before $needy; do
			check "klpctl says why $name is not" is "$name crashed"
			check "the service says why $name is not" \
				service_says "$name is not loaded: it was loaded when the machine crashed"
		done
		;;
	allow)
		check "an administrator allows them" klpctl allow $patch $before $needy
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
