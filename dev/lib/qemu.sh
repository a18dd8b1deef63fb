#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide QEMU for ARCH, in the version that the architecture needs, and print the program's
# path: the installed one, or if that is older, the one of the backports to this machine's
# release of the distribution.
#
# The packages are unpacked and not installed: another version in place of the installed one
# could change all other machines.  The installed package has the libraries.
#
# apt checks the signatures.  The script creates the directory when it is complete.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

[ -n "$foreign" ] || die "ARCH=$ARCH: virtme-ng starts QEMU" "use this for a foreign ARCH"
program=${machine[0]}

# new_enough PROGRAM: it runs, and has the version that ARCH needs.
new_enough() {
	local version
	version=$("$1" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
	[ -n "$version" ] && at_least "$arch_qemu" "$version"
}

installed=$(command -v "$program") ||
	die "$program is not installed" "make toolchain ARCH=$ARCH"
if [ -z "$arch_qemu" ] || new_enough "$installed"; then
	printf '%s\n' "$installed"
	exit
fi

dir=$cache/qemu/$ARCH
take_turns "$cache/qemu.lock"
if new_enough "$dir/$program"; then
	printf '%s\n' "$dir/$program"
	exit
fi

no_qemu() {
	die "$1" "ARCH=$ARCH needs QEMU $arch_qemu or later: install it" "the log: $log"
}

log=$cache/log/qemu
mkdir -p "$cache/log"
: >"$log"
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	no_qemu "there is no apt here to fetch QEMU with"
fi
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)-backports
say "$program is older than $arch_qemu: fetching that of $suite (about 6 MB)"

new=$dir.new
rm -rf "$new"
mkdir -p "$new/packages"
download "$new/packages" "$log" "$suite" "$program" qemu-system-{common,data} || {
	rm -rf "$new"
	no_qemu "no archive of this machine has $program in $suite"
}
for deb in "$new"/packages/*.deb; do
	dpkg-deb -x "$deb" "$new" || {
		rm -rf "$new"
		die "$(basename "$deb") could not be unpacked" "run the same command again"
	}
done
{
	printf '#!/bin/sh\nexport QEMU_MODULE_DIR=%q\n' "$dir/usr/lib/x86_64-linux-gnu/qemu"
	printf 'exec %q -L %q "$@"\n' "$dir/usr/bin/$program" "$dir/usr/share/qemu"
} >"$new/$program"
chmod +x "$new/$program"
rm -rf "$new/packages" "$dir"
mv "$new" "$dir"
new_enough "$dir/$program" || {
	rm -rf "$dir"
	no_qemu "the $program of $suite does not run here, or is older"
}
printf '%s\n' "$dir/$program"
