#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run klpctl's lints, and its tests on trees that are captured or made by hand.  The
# selftests have the tests of klpctl in a kernel.  The last line is "N passed, N
# failed".

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
manual_pages() {
	! man --warnings -E UTF-8 -l "$repo"/tools/livepatch/man/*.8 2>&1 >/dev/null | grep .
}

# A later RUSTC= takes the place of an earlier one.
an_old_compiler() {
	printf '#!/bin/sh\necho "rustc 1.84.1 (of a test)"\n' >"$out/rustc"
	chmod +x "$out/rustc"
	mkdir -p "$out/old"
	! "${klpctl[@]}" OUTPUT="$out/old/" RUSTC="$out/rustc" >"$checks/output" 2>&1 || return 1
	grep -qF "needs rustc 1.85 or later; $out/rustc is: rustc 1.84.1" "$checks/output" ||
		cat "$checks/output"
	# The selftests ask this, and do without klpctl.
	! "${klpctl[@]}" usable RUSTC="$out/rustc" >/dev/null 2>&1 || echo "an old compiler is usable"
	quietly "${klpctl[@]}" usable
}

# commands ARGUMENT...: print what make would run.
commands() {
	"${klpctl[@]}" --dry-run --always-make "$@"
}
for_another_machine() {
	local target=--target=s390x-unknown-linux-gnu
	commands ARCH=s390 CROSS_COMPILE=s390x-linux-gnu- | grep -F -e "$target -C linker=s390x-linux-gnu-gcc " >/dev/null ||
		echo "gcc does not link for another machine"
	commands ARCH=s390 LLVM=-19 | grep -F -e "$target -C linker=clang-19 -C link-arg=$target " >/dev/null ||
		echo "clang does not link for another machine"
	! commands ARCH=x86 LLVM=1 | grep -e --target || echo "this machine is taken for another one"
}

# Rust has another name for this machine than its kernel.
on_powerpc() {
	mkdir -p "$out/powerpc"
	printf '#!/bin/sh\necho ppc64le\n' >"$out/powerpc/uname"
	chmod +x "$out/powerpc/uname"
	PATH=$out/powerpc:$PATH commands static | grep -e '--target powerpc64le-unknown-linux-gnu ' >/dev/null ||
		echo "the static program is for another target"
	! PATH=$out/powerpc:$PATH commands ARCH=powerpc LLVM=1 | grep -e --target ||
		echo "this machine is taken for another one"
}

# rust-analyzer runs this.
in_an_editor() {
	RUSTC=$rustc RUSTFLAGS="-D warnings" quietly "$cargo" check --quiet --offline --all-targets \
		--manifest-path "$repo/tools/livepatch/Cargo.toml" --target-dir "$out/cargo"
}

# Root installs a built program, and needs no compiler for that.
install_without_a_compiler() {
	rm -rf "$out/installed"
	quietly "${klpctl[@]}" install prefix="$out/installed" RUSTC=/nonexistent || return 1
	[ -x "$out/installed/sbin/klpctl" ] || echo "klpctl is not installed"
	[ -x "$out/installed/share/klpctl/contrib/supportconfig/klpctl" ] || echo "supportconfig cannot run its plugin"
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
check "build for another machine" for_another_machine
check "build on powerpc" on_powerpc
if cargo=$(find_cargo); then
	check "editors" in_an_editor
else
	say "not run: editors: there is no usable cargo here"
fi
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
	check "manual pages" manual_pages
else
	say "not run: manual pages: there is no man here"
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

# files_of KIND: print the files that a package of that kind should have.
files_of() {
	# Debian's packages have zsh's completions elsewhere, and the licence in a file.
	local completions=site-functions
	if [ "$1" = deb ]; then
		completions=vendor-completions
		echo ./usr/share/doc/klpctl/copyright
	fi
	(cd "$packages/files" && find . -type f) | sed "s/[.]8$/.8.gz/; s,/zsh/[^/]*/,/zsh/$completions/,"
}

# package KIND: a package that dev/package.sh has made installs all files, and its program is
# that of its version, and runs where there is nothing else.
package() {
	local file files=$out/unpacked version
	file=$(echo "$packages"/klpctl*."$1")
	version=$(basename "$file" | sed -E 's/^klpctl[-_]([^-_]*)[-_].*/\1/')
	unpack "$file" "$files" || return 1
	diff <(files_of "$1" | sort) <(cd "$files" && find . -type f | sort) || return 1
	unshare --map-root-user chroot "$files" /usr/sbin/klpctl --version | grep -F " $version "
}

packages=$cache/packages
check "making packages" quietly "$repo/dev/package.sh"
for kind in deb rpm; do
	check "package: $kind" quietly package $kind
done
check "package: deb: what it needs" diff <(echo kmod) <(dpkg-deb -f "$packages"/klpctl_*.deb Depends)
check "package: rpm: what it needs" diff <(echo kmod) \
	<(rpm -qp --requires "$packages"/klpctl-*.rpm | grep -v '^rpmlib(\|^/bin/sh$' | sort)

status=0
"${klpctl[@]}" test >"$out/log" 2>&1 </dev/null || status=$?
before=$passed failed_before=$failed
count_cargo "$out/log"
grep -a '^not run: ' "$out/log" | sort -u | while read -r line; do
	say "$line"
done || true
if [ "$status" != 0 ] || [ "$passed" = "$before" ]; then
	cat "$out/log"
	[ "$failed" != "$failed_before" ] || count 0 1
fi

totals
