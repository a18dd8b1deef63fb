#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build the kernel that CORE=rust|c, DEBUG=1|0 and ARCH=x86_64|arm64|s390|powerpc select,
# with its modules, those of upstream's selftests, and klpctl.  The last line is the build
# directory.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/options.sh
. "$repo/dev/lib/options.sh"

out=$(kernel_build)
"$repo/dev/toolchain.sh"
take_turns "$(work_dir)"
tree=$("$repo/dev/tree.sh")
set_kmake
name=${foreign:+$ARCH }$(basename "$out")
# The other core's kernel has most of the object files.
case $CORE in
rust) other=${out%/rust*}/c${out##*/rust} ;;
*) other=${out%/c*}/rust${out##*/c} ;;
esac
if [ ! -e "$out" ] && [ -f "$other/vmlinux" ]; then
	rm -rf "$out.new"
	cp -a --reflink=auto "$other" "$out.new"
	rm -rf "$out.new/selftests" "$out.new/log" "$out.new/parity-modules"
	mv "$out.new" "$out"
fi
mkdir -p "$out/selftests"

mapfile -t fragments < <(arch_fragments "$CORE")
case $DEBUG in
0) fragments+=("$repo/dev/config/release.config") ;;
*) fragments+=("$repo/dev/config/debug.config") ;;
esac
# FRAGMENT=file adds a fragment, for a command that needs its own kernel.
# DEFAULTS=file has the options that no fragment names, which are off otherwise.  Then the
# fragments only add to it: what they leave out, to be small, stays.
{
	if [ -n "${DEFAULTS:-}" ]; then
		echo "# beside $DEFAULTS"
		grep -hv '=n$\|^CONFIG_NR_CPUS=' "${fragments[@]}"
	else
		cat "${fragments[@]}"
	fi
	[ -z "${FRAGMENT:-}" ] || cat "$FRAGMENT"
} >"$out/wanted.new"

# Configure again only if the wanted options, or the Kconfig files, have changed.
if ! cmp -s "$out/wanted.new" "$out/wanted" ||
	[ -n "$(find "$tree/kernel/livepatch" "$tree/rust/kernel" "$tree/samples" -name 'Kconfig*' -newer "$out/.config" 2>/dev/null)" ] ||
	[ ! -f "$out/.config" ]; then
	cat ${DEFAULTS:+"$DEFAULTS"} "$out/wanted.new" >"$out/all-wanted"
	run_logged "configuring $name" "$out/log/config" \
		"${kmake[@]}" -C "$tree" O="$out" KCONFIG_ALLCONFIG="$out/all-wanted" allnoconfig
	check_options "$out/wanted.new" "$out"
	mv "$out/wanted.new" "$out/wanted"
fi
rm -f "$out/wanted.new"

renew_objtool "$out"
what="building $name"
[ -f "$out/vmlinux" ] || what+=", from nothing (about 10 min on 2 cores)"
run_logged "$what" "$out/log/build" "${kmake[@]}" -C "$tree" O="$out"
# The selftests run from the build directory: their modules are this kernel's.
rsync -a "$tree/tools/testing/selftests/livepatch" "$tree/tools/testing/selftests/kselftest" "$out/selftests/"
run_logged "building the selftests" "$out/log/selftests" \
	"${kmake[@]}" -C "$out/selftests/livepatch/test_modules" KDIR="$out"
for program in test_klp-call_getpid test_klp-exit test_klp-notify test_klp-torture; do
	"${cross}gcc" -O2 -pthread -o "$out/selftests/livepatch/$program" \
		"$out/selftests/livepatch/$program.c"
done
if grep -qx CONFIG_MODULE_SIG_FORCE=y "$out/.config"; then
	find "$out/selftests" "$out/samples" -name '*.ko' | while IFS= read -r module; do
		[ "$(tail -c 28 "$module")" = "~Module signature appended~" ] ||
			"$out/scripts/sign-file" sha512 "$out/certs/signing_key.pem" "$out/certs/signing_key.x509" "$module"
	done
fi
klpctl_rustc=$(find_rustc)
[ -z "$foreign" ] || klpctl_rustc=$("$repo/dev/lib/rust-std.sh") || klpctl_rustc=
if [ -n "$klpctl_rustc" ]; then
	run_logged "building klpctl" "$out/log/klpctl" \
		"${kmake[@]}" RUSTC="$klpctl_rustc" -C "$tree/tools/livepatch" O="$out/selftests/livepatch"
else
	say "klpctl is not built, for the reason above; its selftest will be left out"
	rm -f "$out/selftests/livepatch/klpctl"
fi
say "Linux $(cat "$out/include/config/kernel.release"), $name"
printf '%s\n' "$out"
