#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide a configuration of the distribution's own kernel: fetch the package that has it,
# linux-config-SERIES, from the suites that have bases.  apt checks the signatures.  The
# script takes the version of the base, or the newest if that version is gone, and prints
# the path of the configuration.
#
#   dev/lib/distribution.sh NAME           amd64_none_cloud-amd64, for example
#   dev/lib/distribution.sh NAME modules   as it is, with the modules
#
# Without "modules", the result leaves out everything that is a module there: the tests load
# none of it, and a build of all takes hours.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

[ -n "${1:-}" ] || die "no configuration named" "dev/lib/distribution.sh amd64_none_cloud-amd64"
case ${2:-} in
'') kind=config ;;
modules) kind=whole ;;
*) die "$2: not understood" "dev/lib/distribution.sh NAME [modules]" ;;
esac
base=$("$repo/dev/lib/base.sh")
version=$(kernel_version "$base")
package=linux-config-${version%.*}
# .complete has the file name of the package that base.sh unpacked: NAME_VERSION_all.
wanted=$(cut -d_ -f2 "$base/.complete" 2>/dev/null | sed 's/%3a/:/') || wanted=
directory=$cache/distribution/${package}_${wanted:-$version}
config=$directory/$kind.$1

no_config() {
	die "$1" "make the Debian package $package available to apt, then run the same command again" "${@:2}"
}

if [ -z "$(find "$directory" -name "$kind.*" -print -quit 2>/dev/null)" ]; then
	command -v apt-get >/dev/null || no_config "there is no apt here to fetch the distribution's configuration with"
	command -v dpkg-deb >/dev/null || no_config "there is no dpkg-deb here to unpack the distribution's configuration with"
	take_turns "$cache/distribution"
	log=$cache/log/distribution
	mkdir -p "$cache/log"
	: >"$log"
	rm -rf "$directory.new"
	mkdir -p "$directory.new"
	say "looking for $package (log: $log)"
	for choice in ${wanted:+"$package=$wanted"} "$package"; do
		! download "$directory.new" "$log" "${base_suites[*]}" "$choice" || break
	done
	deb=$(find "$directory.new" -name '*.deb')
	[ -n "$deb" ] || no_config "$package could not be fetched" "the whole log: $log"
	say "the distribution's configurations: $(basename "$deb" .deb)"
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$directory.new" ||
		no_config "$deb could not be unpacked" "the whole log: $log"
	for file in "$directory.new/usr/src/$package"/config.*.xz; do
		name=$(basename "$file" .xz)
		xz -dc "$file" >"$directory.new/whole.${name#config.}"
		sed '/=m$/d; /^CONFIG_CC_VERSION_TEXT=/d' "$directory.new/whole.${name#config.}" >"$directory.new/$name"
	done
	rm -r "$directory.new/usr" "$deb"
	rm -rf "$directory"
	mv "$directory.new" "$directory"
fi
[ -s "$config" ] || die "$1: $package has no such configuration" \
	"use one of: $(cd "$directory" && printf '%s\n' config.* | sed 's/^config\.//' | xargs)"
printf '%s\n' "$config"
