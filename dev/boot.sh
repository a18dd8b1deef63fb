#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot machines with systemd, in which klpctl loads livepatches at boot: one after the
# other, with the same /var/lib/klpctl.  One of them crashes.  They run the kernel that
# CORE and DEBUG select, as built, and klpctl as make package packs it.  Each check is one
# test; the last line is "N passed, N failed".
#
# A machine's root is this machine's, below an overlay that is gone when the machine ends.
# dev/guest/boot-init.sh makes it, and dev/guest/boot.sh has the checks.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
native_only

systemd=/lib/systemd/systemd
[ -x $systemd ] || die "there is no systemd in $systemd" "install systemd"
out=$(kernel_build)
[ -f "$out/$image" ] || die "there is no kernel in $out" "make kernel CORE=$CORE DEBUG=$DEBUG"
"$repo/dev/package.sh" >/dev/null
work=$(build_dir boot)
rm -rf "$work"
mkdir -p "$work/state" "$work/share"
: >"$work/output"
: >"$work/dmesg"

# share NAME PATH [OPTION]: share a directory with the machine.
share() {
	command+=(-fsdev "local,id=$1,path=${2//,/,,},security_model=none,multidevs=remap${3:+,$3}"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# machine NAME STEPS [APPEND]: boot a machine, which runs the steps of dev/guest/boot.sh
# when systemd has come up, and then ends.
machine() {
	local name=$1 options=trans=virtio,version=9p2000.L,msize=512000 command
	say "booting: $name (log: $work/$name)"
	{
		printf '#!/bin/bash\ncd %q || exit 1\n' "$repo"
		printf 'export KBUILD=%q PATH=/usr/sbin:/usr/bin:/sbin:/bin\n' "$out"
		printf 'dev/guest/boot.sh %s\n' "$2"
	} >"$work/share/run"
	chmod +x "$work/share/run"
	: >"$work/share/output"
	command=(qemu-system-x86_64 -kernel "$out/$image" -m "${MEM:-2G}" -smp "${CPUS:-2}"
		-accel "tcg,thread=single" -display none -monitor none -serial stdio -no-reboot)
	share root / readonly=on
	share share "$work/share"
	share state "$work/state"
	command+=(-append "console=ttyS0 root=root rootfstype=9p rootflags=$options,cache=loose ro
		panic=-1 rcupdate.rcu_cpu_stall_timeout=120 systemd.unit=klp-boot.target systemd.show_status=0 ${3:-}
		init=$repo/dev/guest/boot-init.sh -- $cache/packages/files")
	timeout --kill-after=10 "${TIMEOUT:-1800}" "${command[@]}" </dev/null >"$work/$name" 2>&1 || true
	{
		echo "# $name.sh"
		cat "$work/share/output"
		# A machine that crashes, as it is meant to, does not get that far.
		if ! grep -q '^# all steps are done' "$work/share/output" && [[ "$2" != *crash ]]; then
			echo "# $name.sh: exit status 1"
		else
			echo "# $name.sh: exit status 0"
		fi
	} | tee -a "$work/output"
	# The crash that is wanted reports itself.
	sed '/sysrq: Trigger a crash/,$d' "$work/$name" >>"$work/dmesg"
}

machine install install
machine crash loaded,crash
machine crashed refused,allow
machine allowed loaded
machine off off klpctl.enable=0
machine on loaded
"$repo/dev/lib/judge.sh" "$work/output" "$work/dmesg"
