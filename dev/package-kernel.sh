#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make packages for a real machine: a .deb of the kernel with the core that CORE selects, one
# of its headers, against which livepatches in C and in Rust are built, and klpctl's.  The
# last lines are the packages' paths.
#
#   dev/package-kernel.sh    CONFIG=         the kernel's default for PCs, with the drivers of
#                            servers and virtual machines that package.config adds
#                            CONFIG=debian   the distribution's own, with all modules
#                            CONFIG=file     another one, such as /boot/config-$(uname -r)
#
# Each has kernel/configs/livepatch-rust.config on top.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/options.sh
. "$repo/dev/lib/options.sh"
native_only

config=${CONFIG:-}
# In the kernel's makefiles this name could have another meaning.
unset CONFIG
case $config in
'') name=$CORE ;;
debian) name=$CORE-debian ;;
*)
	name=$CORE-own
	[ -f "$config" ] || die "CONFIG=$config: no such file" \
		"use CONFIG=debian, a file such as /boot/config-$(uname -r), or leave it unset"
	config=$(realpath "$config")
	# grep reads all of it: zcat would fail if it could not write.
	zcat -f "$config" | grep -x CONFIG_X86_64=y >/dev/null ||
		die "CONFIG=$config: not the configuration of a kernel for x86-64" \
			"name a whole one, such as /boot/config-$(uname -r) or /proc/config.gz"
	;;
esac
out=$(build_dir "package/$name")
build=$out/build

"$repo/dev/toolchain.sh" package-kernel
take_turns "$(work_dir)"
tree=$("$repo/dev/tree.sh")
set_kmake
mkdir -p "$build" "$out/log"

# ---- configure

case $config in
'') cat "$tree/arch/x86/configs/x86_64_defconfig" ;;
debian) cat "$("$repo/dev/lib/distribution.sh" amd64_none_amd64 modules)" ;;
*) zcat -f "$config" ;;
esac >"$out/defaults"
{
	[ -n "$config" ] || cat "$repo/dev/config/package.config"
	cat "$tree/kernel/configs/livepatch-rust.config"
	[ "$CORE" = rust ] || echo CONFIG_LIVEPATCH_RUST=n
	# The name keeps the kernel apart from others that are installed.
	printf 'CONFIG_LOCALVERSION="-livepatch-%s"\nCONFIG_LOCALVERSION_AUTO=n\n' "$name"
	# make livepatch names the builds of modules by this.
	echo CONFIG_MODULE_SRCVERSION_ALL=y
	# The files of a distribution's keys are not here.
	printf 'CONFIG_%s\n' 'SYSTEM_TRUSTED_KEYS=""' 'SYSTEM_REVOCATION_KEYS=""' \
		'MODULE_SIG_KEY="certs/signing_key.pem"'
	# Rust excludes the older checksums of symbols.
	! grep -qx CONFIG_MODVERSIONS=y "$out/defaults" || echo CONFIG_GENDWARFKSYMS=y
} >"$out/wanted"
! cat "$out/defaults" "$out/wanted" | grep -x CONFIG_DEBUG_INFO_BTF=y >/dev/null ||
	"$repo/dev/toolchain.sh" btf
cat "$out/defaults" "$out/wanted" >"$out/all-wanted.new"
# A new configuration compiles everything again, even if it is the same.
if ! cmp -s "$out/all-wanted.new" "$out/all-wanted" || [ ! -f "$build/.config" ]; then
	rm -f "$out/all-wanted"
	run_logged "configuring $name" "$out/log/config" \
		"${kmake[@]}" -C "$tree" O="$build" KCONFIG_ALLCONFIG="$out/all-wanted.new" alldefconfig
	check_options "$out/wanted" "$build"
	mv "$out/all-wanted.new" "$out/all-wanted"
fi
rm -f "$out/all-wanted.new"

# ---- build and pack

modules=$(grep -c '=m$' "$build/.config") || true
need=6 time="about an hour"
[ "$modules" -lt 1000 ] || need=20 time="many hours"
! grep -qx CONFIG_DEBUG_INFO=y "$build/.config" || need=$((need * 2))
what="building $name, $modules modules"
if [ ! -f "$build/vmlinux" ]; then
	# An interrupted build has taken some of this space.
	free=$(($(df --output=avail -BG "$build" | tail -n 1 | tr -dc 0-9) + $(du -s -BG "$build" | tr -dc '0-9\t' | cut -f 1)))
	[ "$free" -ge "$need" ] ||
		die "the build needs about $need GB, and $free GB are free in $build" "O=path builds elsewhere"
	what+=", from nothing ($time on 2 cores)"
fi
rm -f "$out"/*.deb "$out"/*.buildinfo "$out"/*.changes "$out/sources"
# This one takes a minute, and fails early if a tool is missing.
klpctl=$("$repo/dev/package.sh" | grep '\.deb$')
# The package of debug information would be the largest by far.  dev/toolchain.sh has looked
# for the tools, which need not be packages.
run_logged "$what" "$out/log/build" env DEB_BUILD_PROFILES=pkg.linux-upstream.nokerneldbg \
	"${kmake[@]}" -C "$tree" O="$build" KDEB_CHANGELOG_DIST=unstable DPKG_FLAGS=-d bindeb-pkg
release=$(cat "$build/include/config/kernel.release")
# The headers for programs are the distribution's own.
rm -f "$out"/linux-libc-dev_*.deb "$out"/*.buildinfo "$out"/*.changes
while IFS= read -r deb; do
	cp "$deb" "$out/"
done <<<"$klpctl"
packages=("$out/linux-image-$release"_*.deb "$out/linux-headers-$release"_*.deb "$out"/klpctl_*.deb)
for package in "${packages[@]}"; do
	[ -f "$package" ] || die "the build has made no $package" "the whole log: $out/log/build"
done
# make livepatch KERNEL= asks for it.
source_id >"$out/sources"
rustc=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(rustc [^ ]*\).*/\1/p' "$build/.config")
say "Linux $release; modules in Rust need $rustc"
printf '%s\n' "${packages[@]}"
