#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide the base: an unpacked Linux source tree of the supported series.
# KDIR=path is taken as it is and never written to; otherwise the distribution's
# source package is fetched once through an apt state of our own, so that the
# machine's configuration stays as it is and signatures are checked.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"

package=linux-source-$supported

check_version() {
	local version
	version=$(kernel_version "$1")
	[ -n "$version" ] || die "$1 is not a Linux source tree (no version in its Makefile)" \
		"name the top folder of a Linux $supported.x source tree or git clone"
	case $version in
	"$supported".*) ;;
	*) die "$1 is Linux $version; supported: $supported.x" \
		"check out a $supported.x version there, or leave KDIR unset" ;;
	esac
}

if [ -n "${KDIR:-}" ]; then
	[ -d "$KDIR" ] || die "KDIR=$KDIR: no such folder"
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
		"either make the Debian package $package available to apt," \
		"or name a source tree or git clone of Linux $supported.x: make KDIR=path ..."
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	no_base "there is no apt here to fetch $package with"
fi

state=$cache/apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$cache/base"

# The archive this machine installs from: where its plain "main" index is.
# Security and third-party archives do not carry the package.
archives() {
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(SIGNED_BY)' 2>/dev/null |
		awk '$3 == "main" && $4 == "Packages" && $2 !~ /security/ {
			print $1, $5 ~ "^/" ? $5 : "/usr/share/keyrings/debian-archive-keyring.gpg" }' |
		sort -u
}

apt_here() {
	local name=$1
	shift
	apt-get -q -o Dir::Etc::sourcelist="$state/$name.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" \
		-o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

fetch() {
	local site keyring suite
	while read -r site keyring; do
		for suite in trixie-backports forky sid; do
			printf 'deb [signed-by=%s] %s %s main\n' \
				"$keyring" "$site" "$suite" >"$state/$suite.list"
			apt_here "$suite" update >>"$state/log" 2>&1 || continue
			apt_here "$suite" --print-uris download "$package" >>"$state/log" 2>&1 || continue
			say "fetching $package from $suite (about 170 MB; continues where it was interrupted)"
			# Only "install" continues a partial file; it wants the package's
			# dependencies (binutils, xz) to be installed, "download" does not.
			apt_here "$suite" -y --no-install-recommends --download-only --reinstall \
				install "$package" >>"$state/log" 2>&1 && return 0
			(cd "$state/cache/archives" && apt_here "$suite" download "$package") \
				>>"$state/log" 2>&1 && return 0
		done
	done < <(archives)
	return 1
}

newest_deb() {
	find "$state/cache/archives" -maxdepth 1 -name "${package}_*.deb" | sort -V | tail -n 1
}

: >"$state/log"
say "looking for Linux $supported.x: $package"
[ -n "$(archives)" ] || no_base "apt on this machine has no archive configured (or 'apt-get update' never ran)"
fetch || {
	tail -n 5 "$state/log" >&2
	no_base "$package could not be fetched (log: $state/log)"
}
deb=$(newest_deb)
[ -n "$deb" ] || no_base "apt fetched no $package (log: $state/log)"

scratch=$cache/base/unpacking
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
