#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make packages of klpctl, a .deb and a .rpm, as far as this machine has dpkg-deb and
# rpmbuild.  The program in them has its C library, musl, with it, so that it runs on
# every distribution.  The last lines are the packages' paths.  The status is 77 if
# something is missing here without which no package can be made.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

target=$(uname -m)-unknown-linux-musl

# lacks TEXT HINT...: print the error as die does, and exit with status 77.
lacks() {
	(die "$@") || exit 77
}

# has_musl RUSTC: it has the standard library for programs with musl.
has_musl() {
	local libraries
	libraries=$("$1" --print target-libdir --target "$target" 2>/dev/null) || return 1
	compgen -G "$libraries/libstd-*.rlib" >/dev/null
}

rustc=
for candidate in "${RUSTC:-}" "$(command -v rustc || true)" "$HOME/.cargo/bin/rustc" \
	/usr/bin/rustc; do
	if [ -x "$candidate" ] && has_musl "$candidate"; then
		rustc=$candidate
		break
	fi
done
[ -n "$rustc" ] ||
	lacks "no rustc here has the standard library for $target" "rustup target add $target"

kinds=()
! command -v dpkg-deb >/dev/null || kinds+=(deb-pkg)
! command -v rpmbuild >/dev/null || kinds+=(rpm-pkg)
[ ${#kinds[@]} -gt 0 ] ||
	lacks "there is neither dpkg-deb nor rpmbuild here" "install dpkg or rpm-build"
[ ${#kinds[@]} -eq 2 ] ||
	say "only ${kinds[*]}: the other tool, dpkg-deb or rpmbuild, is not here"

# A tree that the caller names is there, or it is the caller's mistake.
if ! base=$("$repo/dev/lib/base.sh"); then
	[ -n "${KDIR:-}" ] || exit 77
	exit 1
fi
out=$cache/packages
mkdir -p "$out"
rm -f "$out"/klpctl*.deb "$out"/klpctl*.rpm
for kind in "${kinds[@]}"; do
	make -C "$repo/tools/livepatch" --no-print-directory OUTPUT="$out/" RUSTC="$rustc" \
		KLPCTL_VERSION="$(kernel_version "$base")" "$kind"
done
