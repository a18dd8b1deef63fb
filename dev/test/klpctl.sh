#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run klpctl's lints, and its tests on trees that are made by hand.  The selftests have the
# tests of klpctl in a kernel.  The last line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

rustc=$(find_rustc) || die "no usable rustc" "run: make toolchain"
bin=$(dirname "$rustc")
out=$cache/klpctl
checks=$out/checks
mkdir -p "$checks"
klpctl=(make -C "$repo/tools/livepatch" --no-print-directory OUTPUT="$out/" RUSTC="$rustc"
	RUSTFMT="$bin/rustfmt" CLIPPY_DRIVER="$bin/clippy-driver")

# man formats a page with mistakes all the same, and prints warnings.
manual_page() {
	! man --warnings -E UTF-8 -l "$repo/tools/livepatch/klpctl.8" 2>&1 >/dev/null | grep .
}

# A later RUSTC= takes the place of an earlier one.
an_old_compiler() {
	printf '#!/bin/sh\necho "rustc 1.84.1 (of a test)"\n' >"$out/rustc"
	chmod +x "$out/rustc"
	mkdir -p "$out/old"
	! "${klpctl[@]}" OUTPUT="$out/old/" RUSTC="$out/rustc" >"$checks/output" 2>&1 || return 1
	grep -qF "needs rustc 1.85 or later; $out/rustc is: rustc 1.84.1" "$checks/output" ||
		cat "$checks/output"
}

# Root installs a built program, and needs no compiler for that.
install_without_a_compiler() {
	rm -rf "$out/installed"
	quietly "${klpctl[@]}" install prefix="$out/installed" RUSTC=/nonexistent || return 1
	[ -x "$out/installed/sbin/klpctl" ] || echo "klpctl is not installed"
}

flags_of_the_builder() {
	rm -rf "$out/flags"
	mkdir -p "$out/flags"
	quietly "${klpctl[@]}" OUTPUT="$out/flags/" RUST_FLAGS=-g || return 1
	# With grep -q, readelf could fail to write the rest.
	readelf -SW "$out/flags/klpctl" | grep '[.]debug_info' >/dev/null ||
		echo "there is no debug information"
}

check "build" quietly "${klpctl[@]}"
check "build with an old compiler" an_old_compiler
check "install without a compiler" install_without_a_compiler
check "build with other flags" flags_of_the_builder
# The units, as they are installed above: systemd looks for the programs in them.
units() {
	systemd-analyze --recursive-errors=no --man=no verify "$out"/installed/lib/systemd/system/*
}
if systemd-analyze --recursive-errors=no --help >/dev/null 2>&1; then
	check "units" units
else
	say "not run: units: there is no systemd-analyze here with --recursive-errors, of systemd 250"
fi
check "lints" quietly "${klpctl[@]}" lint
check "completion" shellcheck "$repo/tools/livepatch/completion/klpctl.bash" \
	"$repo/tools/livepatch/tests/capture.sh" "$repo/tools/livepatch/contrib/supportconfig/klpctl"
if command -v man >/dev/null; then
	check "manual page" manual_page
else
	say "not run: manual page: there is no man here"
fi

# unpack PACKAGE DIRECTORY
unpack() {
	rm -rf "$2"
	mkdir -p "$2"
	case $1 in
	*.deb) dpkg-deb -x "$1" "$2" ;;
	*.rpm) rpm2cpio "$1" | (cd "$2" && cpio --quiet -id) ;;
	esac
}

# The package's program is that of its version, and needs no library of the system.
package() {
	local file version files=$out/unpacked
	file=$(grep -m 1 -E "^/.*[.]$1\$" "$out/package") || return 1
	version=$(basename "$file" | sed -E 's/^klpctl[-_]([^-_]*)[-_].*/\1/')
	unpack "$file" "$files" || return 1
	"$files/usr/sbin/klpctl" --version | grep -F " $version " || return 1
	if ldd "$files/usr/sbin/klpctl" 2>&1 | grep '=>'; then
		return 1
	fi
	[ -f "$files/usr/lib/systemd/system/klpctl.service" ]
}
# has_package KIND: dev/package.sh has printed the path of one.
has_package() {
	grep -q "^/.*[.]$1\$" "$out/package"
}
# make_packages STATUS: dev/package.sh has ended with this status.  It makes each kind of
# which the tool is here.
make_packages() {
	[ "$1" = 0 ] || {
		tail -n 60 "$out/package"
		return 1
	}
	! command -v dpkg-deb >/dev/null || has_package deb || echo "there is no path of a .deb"
	! command -v rpmbuild >/dev/null || has_package rpm || echo "there is no path of a .rpm"
}

# Where something is missing, no package can be made.  Any other failure is one of the test.
status=0
"$repo/dev/package.sh" >"$out/package" 2>&1 </dev/null || status=$?
if [ "$status" = 77 ]; then
	say "not run: the package: $(tail -n 2 "$out/package" | tr '\n' ' ')"
else
	check "making packages" make_packages "$status"
	if has_package deb; then
		check "package: deb" quietly package deb
	fi
	if has_package rpm && command -v cpio >/dev/null; then
		check "package: rpm" quietly package rpm
	elif has_package rpm; then
		say "not run: package: rpm: there is no cpio here to unpack it with"
	fi
fi

status=0
"${klpctl[@]}" test >"$out/log" 2>&1 </dev/null || status=$?
before=$passed failed_before=$failed
count_cargo "$out/log"
if [ "$status" != 0 ] || [ "$passed" = "$before" ]; then
	cat "$out/log"
	[ "$failed" != "$failed_before" ] || count 0 1
fi

totals
