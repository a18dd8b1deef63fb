#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide the files of a virtual machine with a foreign architecture: unpack the packages
# that the scripts in dev/guest/ and the selftests need, from the archives that this
# machine installs from.  Their programs cannot run here, so their maintainer scripts
# have not run.  This script does the parts of those that the guest needs.  It prints the
# directory.
#
# apt checks the signatures, and continues a download that was interrupted.  The script
# creates the directory when it is complete.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

[ -n "$foreign" ] || die "ARCH=$ARCH: its virtual machine has this machine's own files"

# apt adds essential packages by itself: bash, coreutils, grep and so on.
packages=(gawk kmod make mount procps)
# One program of each package that the guest uses, and awk, which no package has.
programs=(awk bash dmesg find gawk insmod make mount sed setpriv sysctl taskset timeout zcat)

root=$cache/root/$debian
if [ -d "$root" ]; then
	printf '%s\n' "$root"
	exit 0
fi

no_root() {
	die "$1" \
		"ARCH=$ARCH needs the packages of Debian's architecture $debian: ${packages[*]}" \
		"make an archive that has them available to apt, then run the same command again" "${@:2}"
}

for tool in apt-get dpkg-deb tar; do
	command -v $tool >/dev/null ||
		no_root "there is no $tool here to fetch and unpack packages with"
done
take_turns "$cache/root"
if [ -d "$root" ]; then
	printf '%s\n' "$root"
	exit 0
fi

log=$cache/log/root-$debian
mkdir -p "$cache/log"
: >"$log"
say "looking for packages of $debian (log: $log)"
foreign_archives "$log" ||
	no_root "apt on this machine has no archive configured (or 'apt-get update' never ran)"
# The packages of an earlier attempt may be older than the current ones.
apt-get -q "${apt_options[@]}" autoclean >>"$log" 2>&1
say "fetching packages of $debian (about 40 MB; continues where it was interrupted)"
apt-get -q "${apt_options[@]}" -y --no-install-recommends --download-only \
	install '?essential' "${packages[@]}" >>"$log" 2>&1 || {
	grep '^E:' "$log" | tail -n 5 >&2 || true
	no_root "packages of $debian could not be fetched" "the whole log: $log"
}

new=$root.new
rm -rf "$new"
mkdir -p "$new"/{dev,etc,mnt,proc,root,run,sys,tmp,usr/{bin,sbin,lib,lib64}}
ln -s usr/{bin,sbin,lib,lib64} "$new"
say "unpacking packages of $debian"
for deb in "$apt_state/$debian/cache/archives"/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$new" || {
		rm -rf "$new" "$deb"
		die "$deb could not be unpacked" "it was removed; run the same command again"
	}
done
ln -sf gawk "$new/usr/bin/awk"
[ -e "$new/usr/bin/sh" ] || ln -s dash "$new/usr/bin/sh"
for name in passwd group; do
	cp "$new/usr/share/base-passwd/$name.master" "$new/etc/$name"
done
for program in "${programs[@]}"; do
	[ -n "$(find "$new/usr/bin/$program" "$new/usr/sbin/$program" 2>/dev/null)" ] ||
		no_root "the packages that were fetched have no $program" "the whole log: $log"
done
mv "$new" "$root"
rm -f "$apt_state/$debian/cache/archives"/*.deb
printf '%s\n' "$root"
