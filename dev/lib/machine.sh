# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # its variables are for the scripts that source it
# shellcheck disable=SC2154 # lib.sh sets foreign, and virtio
#
# The options of virtual machines, for the scripts that start QEMU.  They source this file
# after lib.sh.

# The host may be busy with other work.  So the kernel's checks wait longer before they
# report a hung task or a stalled grace period.
patience=rcupdate.rcu_cpu_stall_timeout=120
# An x86 kernel panics if its timer does not tick five times in 40 ms of the boot.
[ -n "$foreign" ] || patience+=" no_timer_check"
mount_options=trans=virtio,version=9p2000.L,msize=512000
# The guest cannot write to its root, so a cache of it stays right.  Without a cache, the
# guest reads every program again when it starts.
root_options=$mount_options,access=any,cache=loose

# share NAME PATH [OPTION]: share a directory with the machine that the array "command"
# starts.
share() {
	command+=(-fsdev "local,id=$1,path=${2//,/,,},security_model=none,multidevs=remap${3:+,$3}"
		-device "virtio-9p-${virtio:-pci},fsdev=$1,mount_tag=$1")
}
