#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# First break the C core, one line at a time, and check that the comparison of random
# histories finds each difference from the rules.  It also has to find that the C core
# looks beyond the end of a func stack (03-stack-end of series/fixes), and nothing in the
# core with its fixes.  Then break the rules of live patching in every way that
# cargo-mutants knows, one at a time, and check that a user-space test fails each time.
# This takes half an hour.
#
# MUTANTS='...' has further arguments for cargo mutants, such as '--re transition.rs' or
# '--shard 0/4'.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"

"$repo/dev/toolchain.sh" cargo
cargo=$(find_cargo) || die "no usable cargo" "run: dev/toolchain.sh cargo"
if [ ! -x "$tools/bin/cargo-mutants" ]; then
	run_logged "building cargo-mutants (3 min)" "$cache/log/cargo-mutants.log" \
		"$cargo" install --locked --root "$tools" cargo-mutants --version 27.1.0
fi

# The changes to the C core: file | sed command.
mutations='
core.c|s/if (patch->replace) {/if (0) {/
core.c|s/^\t\t\tklp_unpatch_object(obj);/;/
core.c|/^static ssize_t force_store/,/^}/s/if (patch != klp_transition_patch)/if (1)/
core.c|/^static void klp_cleanup_module/,/^}/s/if (patch != klp_transition_patch)/if (1)/
core.c|/^int klp_module_coming/,/^}/s/if (patch != klp_transition_patch)/if (1)/
core.c|s/^\t\t\tklp_free_object_loaded(obj);/;/
core.c|s/if (patch->enabled == enabled) {/if (0) {/
transition.c|s/klp_transition_patch->forced = true;/;/
transition.c|s/child->patch_state = current->patch_state;/;/
transition.c|s/clear_tsk_thread_flag(child, TIF_PATCH_PENDING);/;/
transition.c|s/return -EADDRINUSE;/return 0;/
transition.c|s/if (list_is_singular(&ops->func_stack)) {/if (1) {/
transition.c|s/if (task_curr(task) \&\& task != current)/if (0)/
transition.c|s/klp_transition_patch->enabled = !klp_transition_patch->enabled;/;/
patch.c|s/if (func->nop)/if (0)/
patch.c|s/if (patch_state == KLP_TRANSITION_UNPATCHED) {/if (0) {/
patch.c|s/^\t\t\tklp_unpatch_object(obj);/;/
core.c|s/^\t\tmodule_put(patch->mod);/;/
core.c|s/^\tkfree(func->old_name);/;/
core.c|s/^\t\t\tkfree(func);/;/
core.c|s/^\t\t\t\tklp_post_unpatch_callback(obj);/;/
core.c|s/reverting patch/reverting the patch/
transition.c|s/is sleeping on function/sleeps on function/
state.c|s/return state->version >= old_state->version;/return true;/
state.c|s/return !patch->replace;/return true;/
state.c|s/if (patch == klp_transition_patch)/if (0)/
shadow.c|s/ \&\& shadow->id == id;/;/
shadow.c|s/if (warn_on_exist) {/if (0) {/
shadow.c|s/^\t\tdtor(shadow->obj, shadow->data);/;/
'
take_turns "$cache/mutants"
broken=$cache/mutants/c
fixed=$cache/mutants/fixed
base=$("$repo/dev/lib/base.sh")
# copy_core TREE: make a tree with the parts of the base that the comparison compiles.
copy_core() {
	rm -rf "$1"
	mkdir -p "$1/kernel" "$1/include/linux"
	cp -r "$base/kernel/livepatch" "$1/kernel/"
	cp "$base"/include/linux/livepatch*.h "$1/include/linux/"
	ln -s "$base/tools" "$1/tools"
}
copy_core "$broken"
copy_core "$fixed"
for diff in "$repo"/series/fixes/diffs/kernel/livepatch/*.diff; do
	(cd "$fixed" && apply_diff "$diff") || die "$diff no longer applies to $base"
done

# lives TREE [MUTATION]: compare the cores in random histories; set took to the time.  A broken
# core may also crash, or not come to an end: then it takes ten times as long as the core that
# is not broken.
limit=3600
lives() {
	local begin status=0 versus=("$cargo" test -q -p livepatch-versus
		--manifest-path "$repo/tools/testing/livepatch/Cargo.toml")
	local -x KLP_TREE=$1 CARGO_TARGET_DIR=$cache/mutants/versus
	"${versus[@]}" --no-run >"$cache/log/versus" 2>&1 </dev/null ||
		die "the comparison did not run; does the core in C compile?" "the log: $cache/log/versus"
	begin=$SECONDS
	timeout "$limit" "${versus[@]}" >"$cache/log/versus" 2>&1 </dev/null || status=$?
	took=$((SECONDS - begin))
	[ "$status" != 0 ] || return 0
	[ "$status" != 124 ] || echo "did not end: ${2:-the comparison}"
	[ "$status" = 124 ] || grep -qE 'test result: FAILED|signal: ' "$cache/log/versus" ||
		die "the comparison did not run" "the log: $cache/log/versus"
	return 1
}
say "breaking the core in C, one line at a time"
lives "$broken" || die "the cores do not live the same histories as they are" "the log: $cache/log/versus"
limit=$((10 * took + 60))
while IFS='|' read -r file mutation; do
	[ -n "$file" ] || continue
	sed -i "$mutation" "$broken/kernel/livepatch/$file"
	[ "$(diff "$base/kernel/livepatch/$file" "$broken/kernel/livepatch/$file" | grep -c '^>')" = 1 ] ||
		die "$file has no line to break by, or several: $mutation" "correct the list of mutations in $0"
	if lives "$broken" "$file: $mutation"; then
		echo "not noticed: $file: $mutation"
		count 0 1
	else
		count 1 0
	fi
	cp "$base/kernel/livepatch/$file" "$broken/kernel/livepatch/$file"
done <<<"$mutations"
say "comparing the core in C without its fixes, and with them"
if KLP_FIXED=1 lives "$broken"; then
	echo "not noticed: the core in C looks beyond the end of a func stack"
	count 0 1
else
	count 1 0
fi
if KLP_FIXED=1 lives "$fixed"; then
	count 1 0
else
	echo "the core in C with its fixes differs (log: $cache/log/versus)"
	count 0 1
fi

# cargo-mutants does not mutate files outside of the workspace.  So it gets a copy in
# which the workspace is the root and the rules are inside.
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

# 2: no test has failed with some mutants; 3: tests of some mutants did not end, which
# counts as a failure of the test.
outcomes=$work/mutants.out
case $status in
0 | 2 | 3) ;;
*) die "cargo mutants did not run to its end" "its output: $outcomes" ;;
esac
caught=$(cat "$outcomes/caught.txt" "$outcomes/timeout.txt" | wc -l)
missed=$(wc -l <"$outcomes/missed.txt")
[ -n "${MUTANTS:-}" ] || [ "$caught" != 0 ] || die "cargo mutants has broken nothing" "its output: $outcomes"
# On a busy machine a test may be late, and not fail.
sed 's/^/did not end: /' "$outcomes/timeout.txt"
[ "$missed" = 0 ] || sed 's/^/not noticed: /' "$outcomes/missed.txt"
count "$caught" "$missed"
[ -n "${MUTANTS:-}" ] || keep_run "make mutants"
totals
