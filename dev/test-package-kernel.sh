#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test the packages of make package-kernel, in a system of this machine's distribution:
# install them, boot the system in QEMU with the initial RAM disk that they make, build the
# sample livepatches in C and in Rust there, against the headers package alone, load them by
# klpctl, and follow the Rust guide.  Two livepatches that make livepatch KERNEL= has made of
# diffs here are loaded there, too.  Then remove the packages again.  Each case is one test;
# the last line is "N passed, N failed".
#
#   dev/test-package-kernel.sh   CORE= and CONFIG= as for make package-kernel
#
# Not every configuration has 9p, so all files of the machine are on its disk, and
# it answers by its serial lines.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/machine.sh
. "$repo/dev/lib/machine.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
native_only

"$repo/dev/toolchain.sh" test-package-kernel
system=$("$repo/dev/lib/system.sh")
packages=$("$repo/dev/package-kernel.sh")
mapfile -t packages <<<"$packages"
release=$(basename "${packages[0]}")
release=${release#linux-image-}
release=${release%%_*}
tree=$(tree_dir)
work=$(dirname "${packages[0]}")/test
root=$work/root
checks=$work/log
rm -rf "$work"
mkdir -p "$checks"

inside() {
	"$repo/dev/lib/system.sh" run "$root" "$@"
}

# install_packages: as README.md says, but without the tools, which are there.
install_packages() {
	mkdir "$root/root/packages"
	cp "${packages[@]}" "$root/root/packages/"
	inside sh -c 'apt-get -q -y --no-install-recommends install /root/packages/*.deb'
}

# has_parts: a boot loader finds the kernel and its initial RAM disk.
has_parts() {
	[ -s "$root/boot/vmlinuz-$release" ] && [ -s "$root/boot/initrd.img-$release" ] &&
		[ -d "$root/lib/modules/$release/kernel" ]
}

# is_clean: nothing is left of the packages.
is_clean() {
	find "$root/boot" "$root/usr/lib" "$root/usr/src" "$root/usr/sbin" \
		\( -name "*$release*" -o -name klpctl \) -print
}

# from_diffs: make two livepatches for the kernel, a bug and the fix of it.
fix=$repo/dev/klp-build/fixes/rr-timeslice
from_diffs() {
	local name patches='' made
	for name in bug fix; do
		patches+=" $fix/$name.patch"
		made=$(KERNEL=$release NAME=livepatch-$name PATCH=$patches "$repo/dev/livepatch.sh" 2>&3) || return 1
		cp "$(tail -n 1 <<<"$made")" "$work/livepatch-$name.ko" || return 1
	done
}

# copy_tests: copy the sources of the samples, the guide, and the scripts.
copy_tests() {
	local samples=$root/root/samples units=$root/etc/systemd/system
	mkdir -p "$samples" "$root/root/guide" "$root/etc/systemd/system.conf.d"
	cp "$tree/samples/livepatch"/*.{c,rs} "$samples/"
	(cd "$samples" && printf 'obj-m += %s\n' *.c *.rs | sed 's/\.[a-z]*$/.o/' >Kbuild)
	cp "$tree/Documentation/livepatch/rust-api.rst" "$repo"/dev/guest/{page.py,check.sh,test-package-kernel.sh} \
		"$fix/show" "$fix/expected" "$root/root/"
	# A livepatch that could not be made is missing there.
	cp "$work"/livepatch-*.ko "$root/root/" || true
	printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
	echo guest >"$root/etc/hostname"
	# The host may be busy.
	printf '[Manager]\nDefaultTimeoutStartSec=900\n' >"$root/etc/systemd/system.conf.d/test.conf"
	cat >"$units/klp-test.target" <<-end
		[Unit]
		Requires=multi-user.target
		Wants=klp-test.service
		AllowIsolate=yes
	end
	cat >"$units/klp-test.service" <<-end
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		TimeoutStartSec=infinity
		ExecStart=/root/run
		ExecStopPost=systemctl --no-block poweroff
	end
	cat >"$root/root/run" <<-end
		#!/bin/bash
		# The terminal must not add carriage returns.
		stty -F /dev/ttyS1 -opost
		exec </dev/null >/dev/ttyS1 2>&1
		export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
		cd /root
		echo "# test-package-kernel.sh"
		status=0
		./test-package-kernel.sh $release $CORE || status=\$?
		echo "# test-package-kernel.sh: exit status \$status"
	end
	chmod +x "$root/root/run"
}

make_disk() {
	rm -f "$work/disk"
	truncate -s 8G "$work/disk"
	mke2fs -q -t ext4 -d "$root" "$work/disk"
}

# boot: boot the machine, and keep the output of its serial lines.
boot() {
	local command
	command=(qemu-system-x86_64 -kernel "$root/boot/vmlinuz-$release"
		-initrd "$root/boot/initrd.img-$release" -m "${MEM:-2G}" -smp "${CPUS:-2}"
		-accel "tcg,thread=single" -display none -monitor none -no-reboot
		-drive "file=${work//,/,,}/disk,format=raw,if=virtio,cache=unsafe"
		-serial "file:$work/console" -serial "file:$work/output"
		-append "root=/dev/vda ro console=ttyS0 panic=-1 oops=panic log_buf_len=4M $patience
			systemd.unit=klp-test.target systemd.show_status=0 ${APPEND:-}")
	timeout --kill-after=10 "${TIMEOUT:-14400}" "${command[@]}" </dev/null >"$work/qemu" 2>&1 &
	machine_pid=$!
	wait "$machine_pid" || true
	machine_pid=
}

remove_packages() {
	inside apt-get -q -y purge "linux-image-$release" "linux-headers-$release" klpctl
}

machine_pid=
trap '[ -z "$machine_pid" ] || kill "$machine_pid" 2>/dev/null || true' EXIT
say "copying the system"
cp -a --reflink=auto "$system" "$root"
check "the packages are installed" quietly install_packages
check "the kernel has its modules and an initial RAM disk" has_parts
# klp-build builds the whole kernel, so this takes as long as the packages did.  Progress is
# no output of a test.
exec 3>&2
check "livepatches of diffs" from_diffs
copy_tests
run_logged "making the disk" "$checks/disk" make_disk
trap 'exit 130' INT TERM
say "booting $release (log: $work/console; output: $work/output)"
boot
rm -f "$work/disk"
grep '^TEST: ' "$work/output" || true
"$repo/dev/lib/judge.sh" "$work/output" "$work/console" >"$work/verdict" || true
count_suite "$work/verdict" || count 0 1
grep -v ' passed, ' "$work/verdict" || true
check "the packages are removed" quietly remove_packages
check "nothing of them is left" is_clean
rm -rf "$root"
keep_run "make test-package-kernel$(unusual CORE=rust CONFIG= FIXES=0 CPUS= MEM= APPEND=)"
totals
