#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot the kernel that CORE, DEBUG and ARCH select, as built, and run a command in it as
# root, in this repository's directory.  There $KBUILD is the build directory and $KTREE
# the composed tree.  The script has the output and the exit status of the command.
#
#   dev/vm.sh COMMAND        CPUS=2 MEM=2G QEMU_OPTS= TIMEOUT=7200 DMESG=file
#                            APPEND='OPTION ...' of the kernel's command line
#
# TIMEOUT is in seconds, and ends a machine that hangs.  It does not measure how fast the
# host is.
#
# The guest uses the host's own files, read-only.  A guest of a foreign architecture uses
# the files that dev/lib/root.sh provides, and from the host the repository and the
# composed tree.  The guest can write to two directories: the build directory and $SHARE,
# a scratch directory of the run.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/machine.sh
. "$repo/dev/lib/machine.sh"

[ -n "${1:-}" ] || die "no command to run in the virtual machine" "make vm CMD='uname -a'"
out=$(kernel_build)
[ -f "$out/$image" ] ||
	die "there is no kernel in $out" "make kernel ARCH=$ARCH CORE=$CORE DEBUG=$DEBUG"
if [ -n "$foreign" ]; then
	machine[0]=$("$repo/dev/lib/qemu.sh")
	root=$("$repo/dev/lib/root.sh")
else
	[ -x "$venv/bin/vng" ] || die "virtme-ng is not installed" "make toolchain"
fi

share=$(mktemp -d "$cache/vm.XXXXXX")
# The path of the scratch directory in the guest.
guest_share=$share
[ -z "$foreign" ] || guest_share=/mnt
machine_pid=
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	# The machine is a separate process group.  No process of it may survive this script.
	[ -z "$machine_pid" ] || kill -KILL -- "-$machine_pid" 2>/dev/null || true
	rm -rf "$share"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
touch "$share/output"

# On some machines /dev/kvm can be opened although the CPU has no KVM.  No kernel boots
# with it.
kvm=--disable-kvm
if [ -z "$foreign" ] && [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
	kvm=
fi

{
	echo '#!/bin/bash'
	echo 'mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null'
	echo 'echo 300 2>/dev/null >/proc/sys/kernel/hung_task_timeout_secs'
	echo 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null'
	printf 'cd %q || exit 1\n' "$repo"
	# Do not export KDIR, which is the base here.  For upstream's selftests it is the
	# build directory: the scripts in dev/guest/ that run them set it.
	printf 'export KBUILD=%q KTREE=%q SHARE=%q\n' "$out" "$(tree_dir)" "$guest_share"
	printf 'export PATH=%q:$PATH HOME=/root\n' /usr/sbin:/sbin
	printf '(\n%s\n) </dev/null >"$SHARE/output" 2>&1\n' "$1"
	printf 'status=$?\ndmesg >"$SHARE/dmesg"\nsync\necho $status >"$SHARE/status"\n'
} >"$share/run"
chmod +x "$share/run"

read -ra qemu_opts <<<"${QEMU_OPTS:-}"
# One thread emulates all CPUs.  With a thread for each CPU, QEMU 7.2 lets one CPU
# translate code that another CPU is rewriting, and the kernel dies of an int3 that is no
# longer in memory.  ftrace rewrites code in every kernel, and dev/machine.sh shows
# whether the machine allows that.  QEMU takes the first accelerator of its options, and
# refuses one beside an accel= of -machine: do not override a choice in QEMU_OPTS.
if [ -n "$kvm" ] && [ "${CPUS:-2}" != 1 ] && [[ "${QEMU_OPTS:-}" != *accel* ]]; then
	qemu_opts+=(-accel 'tcg,thread=single')
fi
append="panic=-1 oops=panic $patience ${APPEND:-}"

# virtme-ng boots kernels of this machine's architecture.  With virtiofs, where it can
# start, it would use another machine and other options for the root.
native() {
	command=("$venv/bin/vng" -r "$out/$image" ${kvm:+"$kvm"} --force-9p
		--cpus "${CPUS:-2}" --memory "${MEM:-2G}" --user root
		--rwdir "$out" --rwdir "$share" --append "rootflags=$root_options $append"
		${qemu_opts[@]+"${qemu_opts[@]/#/--qemu-opts=}"} --verbose -- "$share/run")
}

# virtme-ng does not know all architectures.  With the root of another machine it shares
# no other directory for reading.  So QEMU boots a foreign kernel from its root, which is
# read-only, and dev/guest/init.sh is the first process.
foreign() {
	local i directories=("$repo" "$(tree_dir)" "$out")
	command=("${machine[@]}" -kernel "$out/$image" -smp "${CPUS:-2}" -m "${MEM:-2G}"
		-display none -monitor none -no-reboot)
	[[ " ${machine[*]} " == *" -chardev "* ]] || command+=(-serial stdio)
	share root "$root" readonly=on
	share share "$share"
	cp "$repo/dev/guest/init.sh" "$share/init"
	for i in "${!directories[@]}"; do
		# The directories have the same paths in the guest; the root has mount points.
		mkdir -p "$root/${directories[i]}"
		printf 'share%s %s\n' "$i" "${directories[i]}" >>"$share/mounts"
		if [ "${directories[i]}" = "$out" ]; then
			share "share$i" "$out"
		else
			share "share$i" "${directories[i]}" readonly=on
		fi
	done
	append="console=$console root=root rootfstype=9p rootflags=$root_options ro $append"
	append+=" init=/bin/bash -- -c"
	append+=" \"mount -t 9p -o $mount_options share /mnt && exec bash /mnt/init\""
	command+=(-append "$append" ${qemu_opts[@]+"${qemu_opts[@]}"})
}

if [ -n "$foreign" ]; then
	foreign
else
	native
fi
PATH=$venv/bin:$PATH setsid timeout --kill-after=10 "${TIMEOUT:-7200}" "${command[@]}" \
	</dev/null >"$share/console" 2>&1 &
machine_pid=$!
# tail shows the output while the command writes it, and ends by itself after it has
# shown the last line.
tail -n +1 -f -s 0.2 --pid="$machine_pid" "$share/output" &
tail=$!
wait "$machine_pid" || true
wait "$tail" || true

[ -z "${DMESG:-}" ] || cp "$share/dmesg" "$DMESG" 2>/dev/null || cp "$share/console" "$DMESG"
if [ ! -f "$share/status" ]; then
	tail -n 60 "$share/console" >&2
	die "the virtual machine ended before the command did (limit: ${TIMEOUT:-7200} s)" \
		"above is the end of its console"
fi
exit "$(cat "$share/status")"
