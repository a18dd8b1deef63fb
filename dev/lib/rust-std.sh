#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide a rustc that compiles programs for the foreign architecture ARCH.  It needs a
# standard library of exactly its own version: that of the compiler itself (rustup target
# add), or the distribution's package for that architecture.  If only a package of
# another version is available, the script also fetches the compiler of that version,
# which compiles klpctl and nothing else.  It prints the command, or exits with status 1
# and the reason.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

[ -n "$foreign" ] || die "ARCH=$ARCH: any rustc compiles programs for this machine"
rustc=$(find_rustc) || die "no usable rustc" "run: make toolchain"

no_std() {
	die "no standard library of Rust for $rust_target: $1" "${@:2}"
}

# compiles RUSTC: it can compile a program for the architecture.
compiles() {
	local scratch status=0
	scratch=$(mktemp -d)
	echo 'fn main() { println!("{}", std::env::consts::ARCH); }' >"$scratch/main.rs"
	"$1" --target="$rust_target" -C linker="${cross}gcc" \
		-o "$scratch/main" "$scratch/main.rs" >>"$log" 2>&1 || status=1
	rm -rf "$scratch"
	return $status
}

log=$cache/log/rust-std-$debian
mkdir -p "$cache/log"
: >"$log"
version=$("$rustc" --version)
dir=$cache/rust-std/$debian
own=$("$rustc" --print target-libdir --target "$rust_target")
if compgen -G "$own/libstd-*.rlib" >/dev/null; then
	compiles "$rustc" || no_std "$rustc has one, but makes no program with it" "the log: $log"
	printf '%s\n' "$rustc"
	exit 0
fi
if [ "$(cat "$dir/for" 2>/dev/null)" = "$version" ]; then
	printf '%s\n' "$dir/rustc"
	exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	no_std "there is no apt here to fetch one with" \
		"rustup target add $rust_target, if rustc is rustup's"
fi
take_turns "$cache/rust-std"
say "looking for a standard library of Rust for $debian (log: $log)"
foreign_archives "$log" ||
	no_std "apt on this machine has no archive configured (or 'apt-get update' never ran)"

# versions PACKAGE [APT-OPTION...]: print the versions that apt knows, the newest first.
versions() {
	apt-cache "${@:2}" madison "$1" 2>/dev/null | awk '{ print $3 }' | sort -Vru
}

# fetch DIRECTORY PACKAGE=VERSION [APT-OPTION...]: fetch the package and unpack it there.
fetch() {
	local archive=$1.debs
	rm -rf "$archive"
	mkdir -p "$archive"
	say "fetching ${2%%=*} ${2#*=}"
	(cd "$archive" && apt-get -q "${@:3}" download "$2") >>"$log" 2>&1 &&
		dpkg-deb --fsys-tarfile "$archive"/*.deb | tar -x --keep-directory-symlink -C "$1" || return 1
	rm -rf "$archive"
}

new=$dir.new
for flavour in -web ''; do
	std=libstd-rust$flavour-dev
	ours=$(dpkg-query -W -f '${Version}' "$std" 2>/dev/null) || ours=
	mapfile -t theirs < <(versions "$std" "${apt_options[@]}")
	for candidate in "${theirs[@]}"; do
		rm -rf "$new"
		mkdir -p "$new"
		if [ "$candidate" = "$ours" ]; then
			fetch "$new" "$std=$candidate" "${apt_options[@]}" || continue
			printf '#!/bin/sh\nexec %q --sysroot=%q "$@"\n' "$rustc" "$new/usr" >"$new/rustc"
		elif at_least 1.85 "$candidate" && versions "rustc$flavour" | grep -xF "$candidate" >/dev/null; then
			release=$(cut -d. -f1-2 <<<"$candidate")
			fetch "$new" "$std=$candidate" "${apt_options[@]}" || continue
			fetch "$new" "rustc$flavour=$candidate" || continue
			fetch "$new" "libstd-rust$flavour-$release=$candidate" || continue
			{
				echo '#!/bin/sh'
				printf 'LD_LIBRARY_PATH=$(echo %q/usr/lib/*-linux-gnu) ' "$new"
				printf 'exec %q/usr/bin/rustc "$@"\n' "$new"
			} >"$new/rustc"
		else
			continue
		fi
		chmod +x "$new/rustc"
		compiles "$new/rustc" || continue
		sed -i "s|$new|$dir|g" "$new/rustc"
		echo "$version" >"$new/for"
		rm -rf "$dir"
		mv "$new" "$dir"
		printf '%s\n' "$dir/rustc"
		exit 0
	done
done
rm -rf "$new"
no_std "the archives have none that fits $version, and none with a rustc for this machine" \
	"rustup target add $rust_target, if rustc is rustup's" "the log: $log"
