#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide the files of a virtual machine that does not use this machine's own: unpack the
# packages that the scripts in dev/guest/ and the selftests need.  It prints the directory.
#
#   dev/lib/root.sh          of the foreign architecture ARCH, from the archives that this
#                            machine installs from
#   dev/lib/root.sh SUITE    of this machine's architecture, from a suite of the
#                            distribution, with the suite's kernel, and the headers and the
#                            compiler for that kernel
#
# The packages are unpacked and not installed: this machine stays as it is, and their
# maintainer scripts, which could not run for a foreign architecture, have not run.  This
# script does the parts of those that the guest needs.
#
# apt checks the signatures, and continues a download that was interrupted.  The script
# creates the directory when it is complete.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

# apt adds essential packages by itself: bash, coreutils, grep and so on.
packages=(gawk kmod make mount procps)
# One program of each package that the guest uses, and awk, which no package has.
programs=(awk bash dmesg find gawk insmod make mount sed setpriv sysctl taskset timeout zcat)

suite=${1:-}
if [ -n "$suite" ]; then
	native_only
	debian=amd64
	name=$suite
	what="the suite $suite"
	needs="the virtual machine needs packages of $what"
	size=150
	# The headers depend on the compiler, but not always on the assembler that it runs.
	# Without the suite's name, apt would prefer a suite that is not backports.
	packages+=(binutils "linux-image-cloud-amd64/$suite" "linux-headers-cloud-amd64/$suite")
else
	[ -n "$foreign" ] || die "ARCH=$ARCH: its virtual machine has this machine's own files"
	name=$debian
	what="Debian's architecture $debian"
	needs="ARCH=$ARCH needs the packages of $what"
	size=40
fi

root=$cache/root/$name
if [ -d "$root" ]; then
	printf '%s\n' "$root"
	exit 0
fi

no_root() {
	die "$1" \
		"$needs: ${packages[*]}" \
		"make an archive that has them available to apt, then run the same command again" "${@:2}"
}

for tool in apt-get dpkg-deb tar ${suite:+depmod}; do
	command -v "$tool" >/dev/null ||
		no_root "there is no $tool here to fetch and unpack packages with"
done
take_turns "$cache/root"
if [ -d "$root" ]; then
	printf '%s\n' "$root"
	exit 0
fi

log=$cache/log/root-$name
mkdir -p "$cache/log"
: >"$log"
say "looking for packages of $what (log: $log)"
if [ -n "$suite" ]; then
	archives=$apt_state/root-$suite/cache/archives
	suite_archives "$suite" "$debian" "$log" ||
		no_root "no archive that apt on this machine has configured has the suite $suite" \
			"the whole log: $log"
else
	archives=$apt_state/$debian/cache/archives
	foreign_archives "$log" ||
		no_root "apt on this machine has no archive configured (or 'apt-get update' never ran)"
fi
# The packages of an earlier attempt may be older than the current ones.
apt-get -q "${apt_options[@]}" autoclean >>"$log" 2>&1
say "fetching packages of $what (about $size MB; continues where it was interrupted)"
apt-get -q "${apt_options[@]}" -y --no-install-recommends --download-only \
	install '?essential' "${packages[@]}" >>"$log" 2>&1 || {
	grep '^E:' "$log" | tail -n 5 >&2 || true
	no_root "packages of $what could not be fetched" "the whole log: $log"
}

new=$root.new
rm -rf "$new"
mkdir -p "$new"/{dev,etc,mnt,proc,root,run,sys,tmp,usr/{bin,sbin,lib,lib64}}
ln -s usr/{bin,sbin,lib,lib64} "$new"
say "unpacking packages of $what"
for deb in "$archives"/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$new" || {
		rm -rf "$new" "$deb"
		die "$deb could not be unpacked" "it was removed; run the same command again"
	}
done
if [ -n "$suite" ]; then
	depmod -b "$new" "$(basename "$new"/usr/lib/modules/*)"
fi
ln -sf gawk "$new/usr/bin/awk"
[ -e "$new/usr/bin/sh" ] || ln -s dash "$new/usr/bin/sh"
for file in passwd group; do
	cp "$new/usr/share/base-passwd/$file.master" "$new/etc/$file"
done
for program in "${programs[@]}"; do
	[ -n "$(find "$new/usr/bin/$program" "$new/usr/sbin/$program" 2>/dev/null)" ] ||
		no_root "the packages that were fetched have no $program" "the whole log: $log"
done
mv "$new" "$root"
rm -f "$archives"/*.deb
printf '%s\n' "$root"
