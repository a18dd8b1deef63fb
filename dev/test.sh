#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every test that CI runs, one suite after the other.  Each suite ends with
# "N passed, N failed"; the last line here is their sum. What they say is kept, for
# the cover letter of make series.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

passed=0 failed=0
results=$(work_dir)/results
mkdir -p "$cache/log" "$(work_dir)"
rm -f "$results"
echo "commit: $(commit_id)" >"$results.new"

# suite NAME COMMAND...: a suite that does not end with its count has failed.
suite() {
	local name=$1 log status=0 last
	log=$cache/log/suite-$(tr ' ' '-' <<<"$1")
	shift
	say "== $name"
	"$@" 2>&1 | tee "$log" | sed -u 's/^\([0-9]* passed, [0-9]* failed\)$/'"$name"': \1/' || status=${PIPESTATUS[0]}
	last=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) || true
	echo "$name: ${last:-failed with status $status}" >>"$results.new"
	if [ -n "$last" ]; then
		passed=$((passed + ${last%% *}))
		last=${last#*, }
		failed=$((failed + ${last%% *}))
	fi
	if [ -z "$last" ] || { [ "$status" != 0 ] && [ "${last%% *}" = 0 ]; }; then
		echo "$name: failed with status $status"
		failed=$((failed + 1))
	fi
}

# one COMMAND...: a suite of one test.
one() {
	if "$@"; then
		echo "1 passed, 0 failed"
	else
		echo "0 passed, 1 failed"
		return 1
	fi
}

suite "tool chain" one "$repo/dev/toolchain.sh"
suite "scripts" "$repo/dev/test/scripts.sh"
suite "style" "$repo/dev/style.sh"
# Nobody sends this one: it needs a name all the same.
suite "series" env GIT_AUTHOR_NAME=Nobody GIT_AUTHOR_EMAIL=nobody@example.org \
	GIT_COMMITTER_NAME=Nobody GIT_COMMITTER_EMAIL=nobody@example.org "$repo/dev/series-check.sh" mails
suite "userland" "$repo/dev/userland.sh"
suite "klpctl" "$repo/dev/test/klpctl.sh"
suite "KUnit on um" env KUNIT_ARCH=um "$repo/dev/kunit.sh"
suite "KUnit on x86_64" env KUNIT_ARCH=x86_64 "$repo/dev/kunit.sh"
suite "kernel" one env CORE=rust DEBUG=1 "$repo/dev/kernel.sh"
suite "machine" env CORE=rust DEBUG=1 "$repo/dev/machine.sh"
suite "a module refused once" "$repo/dev/test/refused-once.sh"
suite "demo" one "$repo/dev/demo.sh"
suite "wrong livepatches" "$repo/dev/test/rust-wrong.sh"
suite "first livepatch in Rust" "$repo/dev/test/rust-guide.sh"
# All but test-oom.sh, which takes a quarter of an hour: make selftest has it.
scripts="test-bad-input.sh test-callbacks.sh test-direct.sh test-exiting.sh test-ftrace.sh test-klpctl.sh
test-kprobe.sh test-leave.sh test-livepatch.sh test-preempted.sh test-rust-rcu.sh test-rust.sh
test-samples.sh test-shadow-scale.sh test-shadow-vars.sh test-state.sh test-syscall.sh test-sysfs.sh
test-trace.sh test-transition.sh"
suite "selftests" env CORE=rust DEBUG=1 TESTS="${scripts//$'\n'/ }" "$repo/dev/selftest.sh"

{
	echo "kernel: Linux $(kernel_version "$(tree_dir)"), x86-64, in QEMU"
	echo "compilers: $(gcc --version | head -n 1), $("$(find_rustc)" --version)"
} >>"$results.new"
mv "$results.new" "$results"

say "all suites are done"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
