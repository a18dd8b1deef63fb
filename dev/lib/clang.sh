#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide the newest clang of the archives that this machine installs from, for
# LLVM=newest: clang, lld, the tools of LLVM, and libclang for bindgen.  It prints the
# directory: bin/ has the tools, and bindgen there starts the one that the other scripts
# use, with this libclang.
#
# The packages are unpacked and not installed.  bindgen loads the newest libclang that is
# installed, and so would read the headers differently in all other builds.
#
# apt checks the signatures.  The script creates the directory when it is complete.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

dir=$cache/clang
# The tools that the kernel's make takes, with LLVM=.
kernel_tools=(clang ld.lld llvm-ar llvm-nm llvm-objcopy llvm-objdump llvm-readelf llvm-strip)

# usable DIRECTORY: its programs run.  The machine has some of their libraries.
usable() {
	local tool
	for tool in "${kernel_tools[@]}"; do
		"$1/bin/$tool" --version >/dev/null 2>&1 || return 1
	done
}

finish() {
	local bindgen
	bindgen=$(find_bindgen) || die "no usable bindgen" "run: make toolchain"
	{
		printf '#!/bin/sh\nexport LIBCLANG_PATH=%q LD_LIBRARY_PATH=%q\n' "$dir/lib" "$dir/lib"
		printf 'exec %q "$@"\n' "$bindgen"
	} >"$dir/bindgen.$$"
	chmod +x "$dir/bindgen.$$"
	# A build may be about to start it.
	mv "$dir/bindgen.$$" "$dir/bindgen"
	printf '%s\n' "$dir"
	exit 0
}

! usable "$dir" || finish

no_clang() {
	die "$1" "LLVM=newest needs a clang from the archives of this machine" \
		"or name one that is installed, as the kernel's make has it: LLVM=-22, LLVM=/path/to/bin/" "${@:2}"
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	no_clang "there is no apt here to fetch clang with"
fi
take_turns "$cache/clang.lock"
! usable "$dir" || finish

log=$cache/log/clang
mkdir -p "$cache/log"
: >"$log"
say "looking for the newest clang (log: $log)"
own_archives "$log" ||
	no_clang "apt on this machine has no archive that answers (or 'apt-get update' never ran)" "the log: $log"
version=$(apt-cache "${apt_options[@]}" pkgnames clang- 2>>"$log" | sed -n 's/^clang-\([0-9]*\)$/\1/p' | sort -n | tail -n 1)
[ -n "$version" ] || no_clang "the archives of this machine have no clang" "the log: $log"

# Fetch what these packages need and this machine does not have.  The separate cache of
# archives has no others in it.
archives=$apt_state/clang
apt_options+=(-o "Dir::Cache::archives=$archives" -o Debug::NoLocking=true)
mkdir -p "$archives/partial"
apt-get -q "${apt_options[@]}" clean >>"$log" 2>&1
say "fetching clang $version (about 50 MB, up to 75)"
apt-get -q "${apt_options[@]}" -y --no-install-recommends --download-only --reinstall \
	install {clang,lld,llvm,libclang1}-"$version" >>"$log" 2>&1 ||
	no_clang "clang $version could not be fetched" "$(grep '^E:' "$log" | tail -n 5)" "the log: $log"

new=$dir.new
rm -rf "$new"
mkdir -p "$new"
for deb in "$archives"/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$new" || {
		rm -rf "$new" "$deb"
		die "$deb could not be unpacked" "it was removed; run the same command again"
	}
done
ln -s "usr/lib/llvm-$version/bin" "usr/lib/llvm-$version/lib" "$new/"
# The programs look for libraries in lib/ alone.
for library in "$new"/usr/lib/*-linux-gnu/lib*.so.*; do
	ln -sf "../../../${library#"$new/usr/"}" "$new/lib/"
done
usable "$new" || no_clang "clang $version does not run on this machine" "the log: $log"
rm -rf "$dir"
mv "$new" "$dir"
rm -rf "$archives"
say "$("$dir/bin/clang" --version | head -n 1)"
finish
