#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide a small system of this machine's distribution: install it in a directory, as
# debootstrap does, with the tools that build kernel modules, and with the rustc that
# find_rustc finds.  It prints the directory.
#
#   dev/lib/system.sh                  install it, if it is not there
#   dev/lib/system.sh run ROOT COMMAND [ARGUMENT...]
#                                      run a command in such a directory
#
# This machine stays as it is.  The archives are those from which it installs.  All of this
# needs root.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"
native_only
# Without these packages, a minimal system cannot boot, build modules, or follow the Rust guide.
packages=(binutils gcc initramfs-tools libelf1 libxxhash0 make procps python3 systemd-sysv udev)

need_root() {
	[ "$(id -u)" = 0 ] || die "only root can install a system in a directory" "run the same command with sudo"
}

# run ROOT COMMAND [ARGUMENT...]: run it with the directory as its root.  Its processes end
# with it.
run() {
	local root=$1
	shift
	need_root
	# shellcheck disable=SC2016 # the inner shell has its own arguments
	unshare --mount --pid --fork --kill-child bash -e -c '
		mount -t proc proc "$1/proc"
		mount --rbind /dev "$1/dev"
		root=$1
		shift
		export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
		exec chroot "$root" "$@"
	' run "$root" "$@"
}

case ${1:-} in
'') ;;
run)
	run "${@:2}"
	exit
	;;
*) die "$1: not understood" "dev/lib/system.sh [run ROOT COMMAND...]" ;;
esac
need_root

suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
read -r site _ keyring < <(archives | awk -v suite="$suite" '$2 == suite') ||
	die "apt on this machine has no archive of the suite '$suite' configured" \
		"debootstrap needs one, with the component main"
rustc=$(find_rustc) || die "no usable rustc" "run: make toolchain"
package=$(dpkg-query --search "$rustc" 2>/dev/null | sed -n '1s/:.*//p') || package=
[ -n "$package" ] || die "$rustc is of no package, and the system would need the same compiler" \
	"build the kernel with the rustc of a package: RUSTC=/usr/bin/rustc"
packages+=("$package=$(dpkg-query --show --showformat '${Version}' "$package")")

root=$cache/root/system-$suite
# finish_if_there: end if the system is there.  Another compiler needs another system.
finish_if_there() {
	[ "$(cat "$root.with" 2>/dev/null)" = "${packages[*]}" ] || return 0
	printf '%s\n' "$root"
	exit 0
}
finish_if_there
take_turns "$cache/root"
finish_if_there

install_system() {
	local new=$1
	rm -rf --one-file-system "$new" "$root" "$root.with"
	# debootstrap mounts /proc there, and leaves it if it fails.
	unshare --mount --pid --fork --kill-child debootstrap --variant=minbase \
		--keyring="$keyring" "$suite" "$new" "$site"
	# The distribution's own archives alone: keys of others are not there.
	archives | awk -v site="$site" -v suite="$suite" -v keyring="$keyring" '
		$1 == site || index($2, suite) == 1 && $3 == keyring { print "deb [signed-by=" $3 "] " $1 " " $2 " main" }' \
		>"$new/etc/apt/sources.list"
	apt-config dump | grep -i '^Acquire::[a-z]*::Proxy' >"$new/etc/apt/apt.conf.d/proxy" || true
	cp /etc/resolv.conf "$new/etc/"
	# No service may start here.
	printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
	chmod +x "$new/usr/sbin/policy-rc.d"
	run "$new" apt-get -q -o Acquire::Retries=3 update
	run "$new" apt-get -q -y -o Acquire::Retries=3 --no-install-recommends install "${packages[@]}"
	run "$new" apt-get clean
	rm -rf "$new"/var/lib/apt/lists/*
	mv "$new" "$root"
	printf '%s\n' "${packages[*]}" >"$root.with"
}
run_logged "installing $suite in a directory (about 400 MB to fetch)" "$cache/log/system" \
	install_system "$root.new"
printf '%s\n' "$root"
