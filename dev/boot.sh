#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot machines with systemd, in which klpctl loads livepatches at boot: one after the
# other, with the same /var/lib/klpctl.  Two of them crash.  They run the kernel that
# CORE and DEBUG select, as built, and klpctl as make package packs it.  In the first, Ansible,
# Prometheus and sos use klpctl's examples.  Each check is one test; the last line is "N
# passed, N failed".
#
# A machine's root is this machine's, below an overlay that is gone when the machine ends.
# dev/guest/boot-init.sh makes it, and dev/guest/boot.sh has the checks.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/machine.sh
. "$repo/dev/lib/machine.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
native_only

systemd=/lib/systemd/systemd
[ -x $systemd ] || die "there is no systemd in $systemd" "install systemd"
out=$(kernel_build)
[ -f "$out/$image" ] || die "there is no kernel in $out" "make kernel CORE=$CORE DEBUG=$DEBUG"
"$repo/dev/package.sh" >/dev/null
fleet=$("$repo/dev/lib/fleet.sh")
work=$(build_dir boot)
rm -rf "$work"
mkdir -p "$work/state" "$work/share"
# klpctl loads nothing from a directory that others may write to, and this umask may allow that.
chmod 755 "$work/state"

# The livepatches: the sample, which comes after one that is installed later, one that
# needs a module of /lib/modules, and one with a function in which a task sleeps.
selftests=$out/selftests/livepatch/test_modules
[ -f "$selftests/test_klp_livepatch.ko" ] ||
	die "there are no modules of the selftests in $selftests" "make kernel CORE=$CORE DEBUG=$DEBUG"
cp "$selftests"/test_klp_{livepatch,leave_patch,callbacks_demo}.ko "$work/share/"
sample=$out/samples/livepatch/livepatch-sample.ko
objcopy -O binary --only-section=.modinfo --set-section-flags .modinfo=alloc "$sample" "$work/modinfo"
printf 'klp_after=test_klp_livepatch\0' >>"$work/modinfo"
objcopy --update-section ".modinfo=$work/modinfo" "$sample" "$work/share/livepatch-sample.ko"
modules=$work/modules/lib/modules/$(<"$out/include/config/kernel.release")
mkdir -p "$modules"
cp "$selftests"/test_klp_{leave_target,callbacks_busy}.ko "$modules/"
depmod -b "$work/modules" "${modules##*/}" 2>"$work/depmod" || die "depmod fails" "$(<"$work/depmod")"

: >"$work/output"
: >"$work/dmesg"

machine_pid=
trap '[ -z "$machine_pid" ] || kill "$machine_pid" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

# machine NAME STEPS [APPEND]: boot a machine, which runs the steps of dev/guest/boot.sh
# when systemd has come up, and then ends.
machine() {
	local name=$1 status=1 command
	say "booting: $name (log: $work/$name)"
	{
		printf '#!/bin/bash\ncd %q || exit 1\n' "$repo"
		echo 'export PATH=/usr/sbin:/usr/bin:/sbin:/bin'
		printf 'export fleet=%q\n' "$fleet"
		printf 'dev/guest/boot.sh %s\n' "$2"
	} >"$work/share/run"
	chmod +x "$work/share/run"
	: >"$work/share/output"
	command=(qemu-system-x86_64 -kernel "$out/$image" -m "${MEM:-2G}" -smp "${CPUS:-2}"
		-accel "tcg,thread=single" -display none -monitor none -serial stdio -no-reboot)
	share root / readonly=on
	share share "$work/share"
	share state "$work/state"
	command+=(-append "console=ttyS0 root=root rootfstype=9p rootflags=$root_options ro panic=-1 $patience
		systemd.unit=klp-boot.target systemd.show_status=0 ${3:-}
		init=$repo/dev/guest/boot-init.sh -- $mount_options $cache/packages/files $work/modules")
	timeout --kill-after=10 "${TIMEOUT:-7200}" "${command[@]}" </dev/null >"$work/$name" 2>&1 &
	machine_pid=$!
	wait "$machine_pid" || true
	machine_pid=
	! grep -qx '# all steps are done' "$work/share/output" || status=0
	{
		echo "# $name.sh"
		cat "$work/share/output"
		echo "# $name.sh: exit status $status"
	} | tee -a "$work/output"
	# The kernel reports the crash that is wanted.
	sed '/sysrq: Trigger a crash/,$d' "$work/$name" >>"$work/dmesg"
}

machine fleet fleet
machine install install
machine crash loaded,crash
machine crashed refused,allow
machine allowed loaded,metrics,crash-in-shutdown
machine crashed-in-shutdown refused,allow
machine off off klpctl.enable=0
machine on loaded,late-first
machine late late,break "modules_load=test_klp_callbacks_busy test_klp_callbacks_busy.block_transition=1"
machine broken broken
judge_run "$work/output" "$work/dmesg"
[ "$CORE" = c ] || keep_run "make boot$(unusual DEBUG=1 FIXES=0 CPUS= MEM=)"
totals
