#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The first process of a virtual machine with a foreign architecture or a distribution's
# kernel: mount the file systems of the kernel and the directories of the host, run the
# command of dev/vm.sh, and end the machine.  /mnt is the scratch directory of the run.

export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
# The kernel mounts /dev by itself only if there is no initial RAM disk.
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
# Before that, the kernel could not open a console for this process.
exec </dev/null >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
for directory in /run /tmp /var/lib; do
	mount -t tmpfs tmpfs $directory
done

echo guest >/proc/sys/kernel/hostname
options=trans=virtio,version=9p2000.L,msize=512000
while read -r tag directory; do
	# A mount point below /tmp has been hidden by the mount of /tmp.
	mkdir -p "$directory"
	mount -t 9p -o $options "$tag" "$directory"
done </mnt/mounts
/mnt/run </dev/null
sync
# With "-no-reboot", QEMU exits.
echo b >/proc/sysrq-trigger
# This may take a moment.  If the first process ended, the kernel would panic.
sleep 60
