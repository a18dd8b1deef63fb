#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide the tool chain: install missing packages, leave others alone, and print each
# missing one with the reason for which it is needed.  Without root, print the commands
# that would install them, and exit with status 1.
#
#   dev/toolchain.sh            for the kernel, of the architecture ARCH
#   dev/toolchain.sh klp-build  for the kernel and upstream's klp-build
#   dev/toolchain.sh upstream   for the kernel and upstream's tests of BPF and ftrace
#   dev/toolchain.sh clang      for the kernel, compiled with clang: LLVM=-19; or with the
#                               newest that there is: LLVM=newest
#   dev/toolchain.sh btf        for the kernel with BTF, or versions of symbols by gendwarfksyms
#   dev/toolchain.sh cargo      for the user-space tests alone
#   dev/toolchain.sh package    for the packages of klpctl alone
#   dev/toolchain.sh package-kernel       for packages of the kernel
#   dev/toolchain.sh test-package-kernel  for their test
#   dev/toolchain.sh fuzz       for the user-space tests, and cargo-fuzz
#   dev/toolchain.sh series     for the attempt to send the series alone

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

# Required item | Debian package | purpose.  A path is a file, a word is a command, and
# "have" below checks KIND:NAME.
needs='
gcc|gcc|compiles the kernel
make|make|drives the build
ld|binutils|links the kernel
flex|flex|Kconfig parser
bison|bison|Kconfig parser
bc|bc|computes time constants in the build
perl|perl|kernel scripts
rsync|rsync|keeps the composed tree up to date
git|git|applies the diffs under series/
xz|xz-utils|unpacks the base
cpio|cpio|kernel headers archive
depmod|kmod|loads modules in the virtual machine
gawk|gawk|kernel scripts
header:libelf.h|libelf-dev|objtool reads object files
header:xxhash.h|libxxhash-dev|objtool has its commands for livepatches only with it
header:openssl/opensslv.h|libssl-dev|certificate tool of the build
libclang:|libclang-19-dev|bindgen reads the kernel headers with it
python3|python3|kunit.py, virtme-ng
shellcheck|shellcheck|make style
codespell|codespell|make style
jsonschema:|python3-jsonschema|checks the JSON of klpctl
sphinx-build|python3-sphinx|make style: builds Documentation/livepatch
dot|graphviz|make style: draws its diagrams
rustc:|RUSTC|compiles the core (1.85 or later, with its library source)
rustfmt:|RUSTFMT|make style
clippy:|CLIPPY|make style
venv:|python3-venv|keeps virtme-ng out of the system
'

needs_of_cargo='
cc|gcc|links the user-space tests
cargo:|CARGO|builds and runs the user-space tests (1.85 or later)
libclang:|libclang-19-dev|bindgen reads the driver of the core in C with it
'

needs_of_fuzz=$needs_of_cargo'
c++|g++|compiles libFuzzer
'

needs_of_package='
gcc|gcc|links klpctl
make|make|drives the build
static:|libc6-dev|has the static C library for klpctl
rustc:|RUSTC|compiles klpctl (1.85 or later)
dpkg-deb|dpkg|makes the .deb
rpmbuild|rpm|makes the .rpm
cpio|cpio|unpacks the .rpm, to test it
'

needs_of_package_kernel='
dpkg-buildpackage|dpkg-dev|makes the packages
dh_builddeb|debhelper|makes the packages
header:xxhash.h|libxxhash-dev|objtool makes livepatch relocations for modules in Rust
header:elfutils/libdw.h|libdw-dev|gendwarfksyms reads debug information
openssl|openssl|makes the key that signs the modules
zstd|zstd|compresses the kernel, if its configuration says so
'

needs_of_test_package_kernel='
debootstrap|debootstrap|installs the distribution in a directory
mke2fs|e2fsprogs|makes the disk of the virtual machine
'

needs_of_series='
send-email:|git-email|tries to send the series
b4|b4|tries to take the series over
'

needs_of_klp_build='
patch|patch|klp-build applies source patches
recountdiff|patchutils|klp-build counts the lines of its patches anew
'

needs_of_upstream='
pahole|pahole|writes the types of the kernel for BPF
clang-19|clang-19|compiles BPF programs
llvm-strip-19|llvm-19|strips BPF programs
header:zlib.h|zlib1g-dev|libbpf reads compressed files
openssl|openssl|makes the certificate of test_progs
ping|iputils-ping|makes the events that ftracetest waits for
'

needs_of_clang='
clang-19|clang-19|compiles the kernel
ld.lld-19|lld-19|links the kernel
llvm-nm-19|llvm-19|reads object files in the build
'

needs_of_btf='
pahole|pahole|writes the types of the kernel for BPF
header:elfutils/libdw.h|libdw-dev|gendwarfksyms reads debug information
'
needs+=$arch_needs

case ${1:-} in
'') kernel=1 ;;
clang)
	kernel=1
	[ "${LLVM:-}" = newest ] || needs+=$needs_of_clang
	;;
btf) kernel=1 needs+=$needs_of_btf ;;
klp-build) kernel=1 needs+=$needs_of_klp_build ;;
upstream) kernel=1 needs+=$needs_of_upstream ;;
cargo) kernel='' needs=$needs_of_cargo ;;
fuzz) kernel='' needs=$needs_of_fuzz ;;
package) kernel='' needs=$needs_of_package ;;
package-kernel) kernel=1 needs+=$needs_of_package_kernel ;;
test-package-kernel) kernel=1 needs+=$needs_of_package_kernel$needs_of_test_package_kernel$needs_of_klp_build ;;
series) kernel='' needs=$needs_of_series ;;
*) die "$1: no such set of tools" "dev/toolchain.sh [klp-build|upstream|clang|btf|cargo|fuzz|package|package-kernel|test-package-kernel|series]" ;;
esac

# have_libclang: libclang itself is there.  libclang-cpp.so, which many packages install,
# is another library.
have_libclang() {
	local pattern
	for pattern in libclang.so libclang.so.'[0-9]*' libclang-'[0-9]*'.so; do
		! compgen -G "/usr/lib/llvm-*/lib/$pattern*" >/dev/null || return 0
		! compgen -G "/usr/lib*/$pattern*" >/dev/null || return 0
		! compgen -G "/usr/lib/*-linux-gnu/$pattern*" >/dev/null || return 0
	done
	return 1
}

have() {
	local rustc
	case $1 in
	header:*) printf '#include <%s>\n' "${1#header:}" | gcc -E -x c - >/dev/null 2>&1 ;;
	cross:) printf '#include <stdio.h>\n' | "${cross}gcc" -E -x c - >/dev/null 2>&1 ;;
	libclang:) have_libclang ;;
	rustc:) find_rustc >/dev/null ;;
	# gcc prints the path of a library that it finds, and the name alone of another.
	static:) [ -f "$(gcc -print-file-name=libc.a)" ] ;;
	cargo:) find_cargo >/dev/null ;;
	rustfmt:) rustc=$(find_rustc) && [ -x "$(dirname "$rustc")/rustfmt" ] ;;
	clippy:) rustc=$(find_rustc) && [ -x "$(dirname "$rustc")/clippy-driver" ] ;;
	send-email:) git send-email --dump-aliases >/dev/null 2>&1 </dev/null ;;
	jsonschema:) python3 -c 'import jsonschema' 2>/dev/null ;;
	venv:) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

candidate() {
	apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ { print $2 }' | sed 's/^[0-9]*://; s/[+~-].*//'
}

# Find the Rust packages: Debian 12 has a current compiler under other names.
rust_flavour() {
	local web
	web=$(candidate rustc-web)
	if at_least 1.85 "${web:-0}"; then
		RUSTC_PKGS="rustc-web rust-web-src" RUSTFMT_PKGS=rustfmt-web
		CLIPPY_PKGS=rust-web-clippy CARGO_PKGS=cargo-web
	else
		RUSTC_PKGS="rustc rust-src" RUSTFMT_PKGS=rustfmt CLIPPY_PKGS=rust-clippy CARGO_PKGS=cargo
	fi
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 "$@"
}

lists_fresh=
refresh_lists() {
	[ -z "$lists_fresh" ] || return 0
	lists_fresh=1
	if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
		run_logged "updating the package lists" "$cache/log/apt-update.log" apt update
	fi
	rust_flavour
}

packages=()
want() {
	local name=$1 why=$2
	refresh_lists
	case $name in
	RUSTC) name=$RUSTC_PKGS ;;
	RUSTFMT) name=$RUSTFMT_PKGS ;;
	CLIPPY) name=$CLIPPY_PKGS ;;
	CARGO) name=$CARGO_PKGS ;;
	esac
	say "missing: $name ($why)"
	# shellcheck disable=SC2206 # a name may stand for two packages
	packages+=($name)
}

while IFS='|' read -r what package why; do
	[ -n "$what" ] || continue
	have "$what" || want "$package" "$why"
done <<<"$needs"

build_bindgen=
if [ -n "$kernel" ] && ! find_bindgen >/dev/null; then
	refresh_lists
	if at_least 0.71.1 "$(candidate bindgen | grep . || echo 0)"; then
		want bindgen "makes Rust declarations of the kernel headers (0.71.1 or later)"
	else
		say "missing: bindgen (makes Rust declarations of the kernel headers; built with cargo)"
		build_bindgen=1
		command -v cargo >/dev/null || want CARGO "builds bindgen"
	fi
fi

if [ ${#packages[@]} -gt 0 ]; then
	command -v apt-get >/dev/null ||
		die "these are missing, and there is no apt here to install them with: ${packages[*]}" \
			"install what your distribution calls them, then run the same command again"
	if [ "$(id -u)" != 0 ]; then
		die "these packages are missing, and only root can install them" \
			"sudo apt-get update" \
			"sudo apt-get install --no-install-recommends ${packages[*]}"
	fi
	run_logged "installing ${packages[*]}" "$cache/log/apt-install.log" \
		apt install -y --no-install-recommends "${packages[@]}"
	while IFS='|' read -r what package why; do
		[ -z "$what" ] || have "$what" ||
			die "$package was installed, but ${what%:} is still not usable ($why)"
	done <<<"$needs"
fi

if [ "${1:-}" = fuzz ] && ! find_cargo_fuzz >/dev/null; then
	say "missing: cargo-fuzz (builds klpctl's parsers with libFuzzer; built with cargo)"
	run_logged "building cargo-fuzz (2 min)" "$cache/log/cargo-fuzz.log" \
		"$(find_cargo)" install --locked --root "$tools" cargo-fuzz --version 0.13.2
	find_cargo_fuzz >/dev/null || die "cargo-fuzz was built, but is not usable: $tools/bin/cargo-fuzz"
fi

if [ -z "$kernel" ]; then
	case $1 in cargo | fuzz) say "tool chain: $("$(find_cargo)" --version)" ;; esac
	exit 0
fi

if [ -n "$build_bindgen" ]; then
	run_logged "building bindgen (2 min)" "$cache/log/bindgen.log" \
		cargo install --locked --root "$tools" bindgen-cli --version 0.72.1
	find_bindgen >/dev/null || die "bindgen was built, but is not usable: $tools/bin/bindgen"
fi

if [ -z "$foreign" ] && [ ! -x "$venv/bin/vng" ]; then
	say "missing: virtme-ng (boots the kernel on this machine's own files)"
	rm -rf "$venv"
	python3 -m venv "$venv"
	run_logged "installing virtme-ng" "$cache/log/virtme-ng.log" \
		"$venv/bin/pip" install --disable-pip-version-check virtme-ng==1.42 ||
		rm -rf "$venv"
fi

compiler=${cross}gcc
if [ "${LLVM:-}" = newest ]; then
	compiler=$("$repo/dev/lib/clang.sh")/bin/clang
fi

# Run bindgen: it may be installed and fail, because it loads libclang when it runs.
header=$(mktemp --suffix=.h)
trap 'rm -f "$header"' EXIT
echo 'struct probe { int field; };' >"$header"
probe=$("$(find_bindgen)" "$header" 2>&1) || true
grep -q 'struct probe' <<<"$probe" ||
	die "$(find_bindgen) cannot read a C header" "$(head -n 5 <<<"$probe")" \
		"it needs libclang: apt-get install libclang-19-dev, or set LIBCLANG_PATH to the directory that has it"

say "tool chain: $("$(find_rustc)" --version), $("$(find_bindgen)" --version), $("$compiler" --version | head -n 1)"
