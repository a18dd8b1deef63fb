#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compare the symbols that kernel/livepatch exports, and their checksums with MODVERSIONS:
# they are the same with either core, or a module for one core would not load with the
# other.  Only that directory is built.  The last line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
native_only

"$repo/dev/toolchain.sh" btf
take_turns "$(work_dir)"
tree=$("$repo/dev/tree.sh")
set_kmake

# checksums CORE OUT: build the directory, and print "SYMBOL CHECKSUM" of each export.
checksums() {
	local wanted=$2/wanted fragments
	mkdir -p "$2/log"
	mapfile -t fragments < <(arch_fragments "$1")
	{
		cat "${fragments[@]}"
		grep -v '^#\|BTF\|BPF' "$repo/dev/config/matrix/modversions.config"
	} >"$wanted"
	"${kmake[@]}" -C "$tree" O="$2" KCONFIG_ALLCONFIG="$wanted" allnoconfig >"$2/log/config" 2>&1
	grep -qx CONFIG_GENDWARFKSYMS=y "$2/.config" ||
		die "the kernel's configuration refuses GENDWARFKSYMS" "the log: $2/log/config"
	run_logged "building kernel/livepatch with MODVERSIONS, CORE=$1" "$2/log/build" \
		"${kmake[@]}" -C "$tree" O="$2" prepare kernel/livepatch/
	# kbuild keeps the checksums of an object's exports beside the commands that made it.
	find "$2/kernel/livepatch" -name '.*.o.cmd' -exec sed -n 's/^#SYMVER //p' {} + | LC_ALL=C sort
}

for core in c rust; do
	checksums "$core" "$(build_dir "crcs-$core")" >"$cache/log/crcs-$core"
done
check "either core exports something" grep -q '^klp_enable_patch 0x' "$cache/log/crcs-c"
check "the exports and their checksums are the same" diff "$cache/log/crcs-c" "$cache/log/crcs-rust"
[ "$failed" != 0 ] || say "$(wc -l <"$cache/log/crcs-c") symbols are the same"
totals
