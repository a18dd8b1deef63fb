#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build the live patching directories in random configurations: kernel/livepatch with the core
# that CORE selects, and samples/livepatch.  Each configuration is one test: it builds, and
# no compiler warns of a file there.  The last line is "N passed, N failed".
#
#   dev/randconfig.sh          N=20 configurations, SEED=1 and the next ones
#
# A number gives the same configuration each time.  dev/config/random.config has the options
# that are not random: those that the core needs, and those that Rust excludes.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"

: "${N:=20}" "${SEED:=1}"
for setting in N SEED; do
	[[ ${!setting} =~ ^[1-9][0-9]{0,6}$ ]] ||
		die "$setting=${!setting}: not understood" "use a number of up to 7 digits, without zeros before it"
done

if [ -n "${LLVM:-}" ]; then
	"$repo/dev/toolchain.sh" clang
else
	"$repo/dev/toolchain.sh"
fi
take_turns "$(work_dir)"
tree=$("$repo/dev/tree.sh")
out=$(build_dir "random-$CORE")
set_kmake
mkdir -p "$out/log"
cp "$repo/dev/config/random.config" "$out/wanted"
[ "$CORE" = rust ] || echo 'CONFIG_LIVEPATCH_RUST=n' >>"$out/wanted"
[ "$ARCH" != s390 ] || echo 'CONFIG_EXPOLINE=n' >>"$out/wanted"

# configure SEED: print the options that the kernel's configuration refuses.
configure() {
	local missing
	"${kmake[@]}" -C "$tree" O="$out" KCONFIG_SEED="$1" KCONFIG_ALLCONFIG="$out/wanted" randconfig \
		>"$out/log/config-$1" 2>&1 || return 1
	missing=$(grep '=y$' "$out/wanted" | grep -Fxv -e 'CONFIG_LIVEPATCH_RUST=y' -f "$out/.config") || true
	[ "$CORE" = c ] || grep -qx CONFIG_LIVEPATCH_RUST=y "$out/.config" || missing+=$'\nCONFIG_LIVEPATCH_RUST=y'
	[ -z "$missing" ] || { xargs <<<"refused:$missing" && return 1; }
}

# build_directories SEED: build, and print the compilers' messages about our files.
build_directories() {
	local log=$out/log/build-$1
	# Messages of an earlier build are not repeated if nothing is compiled.
	rm -f "$out"/{kernel,samples}/livepatch/*.o
	"${kmake[@]}" -C "$tree" O="$out" prepare kernel/livepatch/ >"$log" 2>&1 || return 1
	if grep -qE '^CONFIG_SAMPLE_LIVEPATCH(_RUST)?=m' "$out/.config"; then
		"${kmake[@]}" -C "$tree" O="$out" samples/livepatch/ >>"$log" 2>&1 || return 1
	fi
	! grep -B 1 -A 5 -E '(kernel|samples)/livepatch/[^ ]*: warning:|^ *--> .*(kernel|samples)/livepatch/' "$log"
}

for ((seed = SEED; seed < SEED + N; seed++)); do
	begin=$SECONDS
	rm -f "$out/log"/*-"$seed"
	if ! reason=$(configure "$seed"); then
		count 0 1
		printf 'not ok: SEED=%s: no configuration: %s (log: %s)\n' "$seed" "$reason" "$out/log/config-$seed"
	elif reason=$(build_directories "$seed"); then
		count 1 0
		say "SEED=$seed: built in $((SECONDS - begin)) s, $(grep -c '=[ym]$' "$out/.config") options"
	else
		count 0 1
		cp "$out/.config" "$out/log/config-of-$seed"
		printf 'not ok: SEED=%s (log: %s)\n%s\n' "$seed" "$out/log/build-$seed" \
			"${reason:-$(grep -aE 'error|Error' "$out/log/build-$seed" | head -n 5)}"
	fi
done
# The list has the run with the defaults alone.
if [ "$CORE" = rust ] && [ "$SEED" = 1 ] && [ -z "$foreign${LLVM:-}" ]; then
	keep_run "make randconfig N=$N"
fi
totals
