#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test the rules of live patching in user space: tools/testing/livepatch/.
# DEEP=1 adds the explorations that take minutes each, and a million random histories of
# both cores.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"

case ${DEEP:-0} in
0) deep=() ;;
1) deep=(--include-ignored) ;;
*) die "DEEP=$DEEP: not understood" "use DEEP=1 or DEEP=0" ;;
esac
"$repo/dev/toolchain.sh" cargo
cargo=$(find_cargo) || die "no usable cargo" "run: dev/toolchain.sh cargo"
log=$cache/log/userland
mkdir -p "$cache/log"

export CARGO_TARGET_DIR=$cache/userland
# The tree with the C core, which the comparison of random histories compiles.
KLP_TREE=$("$repo/dev/lib/base.sh")
export KLP_TREE
test=("$cargo" --config "target.'cfg(unix)'.runner='$repo/dev/lib/each-test.sh'" test --manifest-path "$repo/tools/testing/livepatch/Cargo.toml")
run_logged "building the user-space tests" "$log-build" "${test[@]}" --no-run

say "exploring all interleavings (2 to 8 min on 2 cores)"
status=0
RUST_BACKTRACE=0 "${test[@]}" --no-fail-fast -- "${deep[@]}" 2>&1 | tee "$log" |
	grep --line-buffered -E '^test .* (ok|FAILED)$|^[0-9]+ histories compared$|panicked at|^(thread|error)' || status=${PIPESTATUS[0]}

count_cargo "$log"
if [ "$status" != 0 ]; then
	sed -n '/^failures:$/,$p' "$log" | tail -n 60
	[ "$failed" != 0 ] || die "the tests did not run to their end" "the whole log: $log"
fi
histories=$(sed -n 's/^\([0-9]*\) histories compared$/\1/p' "$log" | sum)
[ "${DEEP:-0}" = 0 ] || keep_run "make userland DEEP=1" "$histories histories on both cores"
totals
