#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The first process of a machine that dev/boot.sh boots: make a root that can be written to,
# install klpctl in it, and start systemd.
#
#   dev/guest/boot-init.sh OPTIONS FILES MODULES    the options of a mount, and the directories
#                                                   with the package's files and with lib/modules

options=$1 files=$2 modules=$3
root=/mnt/root
units=$root/etc/systemd/system

set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work $root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay $root
# The services of this machine's administrator do not run, and systemd has no old files to
# remove.
for directory in $units $root/run $root/tmp $root/var/tmp; do
	mount -t tmpfs tmpfs "$directory"
done
# The host may be a container.  systemd must not take the machine for one.
rm -f $root/.dockerenv
cp -a "$files/." $root/
mkdir -p $root/lib/modules
cp -a "$modules/lib/modules/." $root/lib/modules/
mkdir -p $root/var/lib/klpctl
mount -t 9p -o "$options" state $root/var/lib/klpctl
mkdir $root/share
mount -t 9p -o "$options" share $root/share

cat >$units/klp-boot.target <<-end
	[Unit]
	Requires=multi-user.target
	Wants=klp-boot.service
	AllowIsolate=yes
end
cat >$units/klp-boot.service <<-end
	[Unit]
	After=multi-user.target klpctl.service
	[Service]
	Type=oneshot
	ExecStart=/share/run
	StandardOutput=append:/share/output
	StandardError=append:/share/output
	ExecStopPost=systemctl --no-block poweroff
end
# As an administrator does after the installation.
systemctl --root=$root enable klpctl.service
exec switch_root $root /lib/systemd/systemd
