#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build the kernel that CORE=rust|c and DEBUG=1|0 select, with its modules,
# those of upstream's selftests, and klpctl.  The last line is the build directory.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

out=$(kernel_build)
"$repo/dev/toolchain.sh"
take_turns "$(work_dir)"
tree=$("$repo/dev/tree.sh")
set_kmake
mkdir -p "$out/selftests"

fragments=("$repo/dev/config/x86_64.config" "$repo/dev/config/$CORE.config")
case $DEBUG in
0) fragments+=("$repo/dev/config/release.config") ;;
*) fragments+=("$repo/dev/config/debug.config") ;;
esac
cat "${fragments[@]}" >"$out/wanted.new"

# Configure again only if the wanted options, or the Kconfig files, have changed.
if ! cmp -s "$out/wanted.new" "$out/wanted" ||
	[ -n "$(find "$tree/kernel/livepatch" "$tree/rust/kernel" "$tree/samples" -name 'Kconfig*' -newer "$out/.config" 2>/dev/null)" ] ||
	[ ! -f "$out/.config" ]; then
	run_logged "configuring $(basename "$out")" "$out/log/config" \
		"${kmake[@]}" -C "$tree" O="$out" KCONFIG_ALLCONFIG="$out/wanted.new" allnoconfig
	missing=$(grep -E '^CONFIG_[A-Z0-9_]+=[ym]' "$out/wanted.new" | grep -Fxv -f "$out/.config" || true)
	if [ -n "$missing" ]; then
		# Most often it is Rust, and then the kernel's own check knows why.
		why=$(grep -q '^CONFIG_RUST=' <<<"$missing" &&
			"${kmake[@]}" -s -C "$tree" O="$out" rustavailable 2>&1 | grep -v '^make' | head -n 20) || true
		die "the kernel's configuration refuses what is wanted" "$missing" "${why:+the kernel says of Rust:}" "$why"
	fi
	mv "$out/wanted.new" "$out/wanted"
fi
rm -f "$out/wanted.new"

what="building $(basename "$out")"
[ -f "$out/vmlinux" ] || what+=", from nothing (about 10 min on 2 cores)"
run_logged "$what" "$out/log/build" "${kmake[@]}" -C "$tree" O="$out"
# The selftests run from the build directory: their modules are this kernel's.
rsync -a "$tree/tools/testing/selftests/livepatch" "$out/selftests/"
run_logged "building the selftests" "$out/log/selftests" \
	"${kmake[@]}" -C "$out/selftests/livepatch/test_modules" KDIR="$out"
for program in test_klp-call_getpid test_klp-exit test_klp-notify; do
	gcc -O2 -pthread -o "$out/selftests/livepatch/$program" "$out/selftests/livepatch/$program.c"
done
run_logged "building klpctl" "$out/log/klpctl" \
	"${kmake[@]}" -C "$tree/tools/livepatch" O="$out/selftests/livepatch"
say "Linux $(cat "$out/include/config/kernel.release"), $(basename "$out")"
printf '%s\n' "$out"
