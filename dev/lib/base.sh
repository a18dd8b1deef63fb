#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide the base: an unpacked Linux source tree of a supported series, the newest that
# is available, or the one that BASE= names.  With KDIR=path, the script takes that tree
# and never writes to it.  Otherwise it fetches the distribution's source package once,
# with separate apt state, so that the machine's configuration does not change and apt
# checks the signatures.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

if [ -n "${BASE:-}" ]; then
	wanted=("$BASE")
else
	wanted=("${supported[@]}")
fi
printf -v any ', %s.x' "${wanted[@]}"
any=${any#, }

check_version() {
	local version
	version=$(kernel_version "$1")
	[ -n "$version" ] || die "$1 is not a Linux source tree (no version in its Makefile)" \
		"name the top directory of a Linux source tree or git clone: $any"
	[[ " ${wanted[*]} " == *" ${version%.*} "* ]] ||
		die "$1 is Linux $version; supported: $any" "check out one of these there, or leave KDIR unset"
}

if [ -n "${KDIR:-}" ]; then
	[ -d "$KDIR" ] || die "KDIR=$KDIR: no such directory"
	check_version "$KDIR"
	base_dir
	exit 0
fi

dest=$(base_dir)
if [ -f "$dest/.complete" ]; then
	printf '%s\n' "$dest"
	exit 0
fi

no_base() {
	die "$1" \
		"either make one of the Debian packages ${wanted[*]/#/linux-source-} available to apt," \
		"or name a source tree or git clone of Linux, $any: make KDIR=path ..."
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	no_base "there is no apt here to fetch a base with"
fi

state=$apt_state
mkdir -p "$cache/base" "$state"

# fetch PACKAGE: fetch it from the first suite that has it.  The status is 1 if no suite
# has it, and 2 if a suite has it and the download failed.
fetch() {
	local package=$1 site keyring suite apt_options found=1
	while read -r site keyring suite; do
		use_suite "$site" "$keyring" "$suite" "$state/log" || continue
		apt_here --print-uris download "$package" || continue
		found=2
		say "fetching $package from $suite (about 170 MB; continues where it was interrupted)"
		# Only "install" continues a partial file.  Unlike "download", it needs
		# the package's dependencies (binutils, xz) to be installed.
		apt_here -y --no-install-recommends --download-only --reinstall install "$package" && return 0
		(cd "$state/cache/archives" && apt_here download "$package") && return 0
	done < <(places_of "${base_suites[@]}")
	return "$found"
}

apt_here() {
	apt-get -q "${apt_options[@]}" "$@" >>"$state/log" 2>&1 </dev/null
}

# newest_deb PACKAGE
newest_deb() {
	find "$state/cache/archives" -maxdepth 1 -name "$1_*.deb" | sort -V | tail -n 1
}

: >"$state/log"
[ -n "$(places)" ] || no_base "apt on this machine has no archive configured (or 'apt-get update' never ran)"
for series in "${wanted[@]}"; do
	package=linux-source-$series
	say "looking for Linux $series.x: $package"
	status=0
	fetch "$package" || status=$?
	# Take another series only if no suite has this one, not if a download failed.
	[ "$status" = 1 ] || break
done
deb=
[ "$status" != 0 ] || deb=$(newest_deb "$package")
if [ -z "$deb" ]; then
	tail -n 5 "$state/log" >&2
	no_base "no base could be fetched (log: $state/log)"
fi

scratch=$dest.unpacking
rm -rf "$scratch" "$dest"
mkdir -p "$scratch"
say "unpacking $(basename "$deb") (half a minute)"
dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$package.tar.xz" |
	tar -xJ --strip-components=1 -C "$scratch" || {
	rm -rf "$scratch" "$deb"
	die "$deb could not be unpacked" "it was removed; run the same command again"
}
check_version "$scratch"
basename "$deb" .deb >"$scratch/.complete"
mv "$scratch" "$dest"
say "base: Linux $(kernel_version "$dest")"
printf '%s\n' "$dest"
