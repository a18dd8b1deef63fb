#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Break the rules of live patching in every way that cargo-mutants knows, one at
# a time, and see that a user-space test notices.  Takes half an hour.
#
# MUTANTS='...' are further arguments for cargo mutants, such as
# '--re transition.rs' or '--shard 0/4'.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

"$repo/dev/toolchain.sh" cargo
cargo=$(find_cargo) || die "no usable cargo" "run: dev/toolchain.sh cargo"
if [ ! -x "$tools/bin/cargo-mutants" ]; then
	run_logged "building cargo-mutants (3 min)" "$cache/log/cargo-mutants.log" \
		"$cargo" install --locked --root "$tools" cargo-mutants --version 27.1.0
fi

# cargo-mutants leaves files outside of the workspace alone.  So it is given a
# copy in which the workspace is the root and the rules are inside.
work=$cache/mutants
workspace=tools/testing/livepatch
rm -rf "$work/tree" "$work/mutants.out"
mkdir -p "$work/tree/kernel" "$work/tree/$(dirname "$workspace")"
cp -a "$repo/kernel/livepatch" "$work/tree/kernel/"
cp -a "$repo/$workspace" "$work/tree/$(dirname "$workspace")/"
cd "$work/tree"
rm -f "$workspace/Cargo.lock"
sed "s|\"\([a-z]*\)\"\([],]\)|\"$workspace/\1\"\2|g" "$workspace/Cargo.toml" >Cargo.toml
rm "$workspace/Cargo.toml"
grep -q "$workspace/engine" Cargo.toml || die "cannot move the workspace of $workspace/Cargo.toml"

say "breaking the rules, one at a time (output: $work/mutants.out)"
status=0
# The arguments are words.
# shellcheck disable=SC2086
PATH=$tools/bin:$(dirname "$cargo"):$PATH CARGO_TARGET_DIR=$work/target RUST_BACKTRACE=0 \
	"$cargo" mutants --config "$workspace/mutants.toml" --package livepatch-engine --output "$work" --colors never \
	${MUTANTS:-} || status=$?

# 2: some are not noticed; 3: some do not end, which is noticed.
outcomes=$work/mutants.out
case $status in
0 | 2 | 3) ;;
*) die "cargo mutants did not run to its end" "its output: $outcomes" ;;
esac
caught=$(cat "$outcomes/caught.txt" "$outcomes/timeout.txt" | wc -l)
missed=$(wc -l <"$outcomes/missed.txt")
[ "$missed" = 0 ] || sed 's/^/not noticed: /' "$outcomes/missed.txt"
count "$caught" "$missed"
totals
