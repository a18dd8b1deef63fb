#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run all tests that CI runs.  Each suite ends with "N passed, N failed"; the last line here
# is their sum.  The script keeps the results for the cover letter of make series.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
native_only

results=$(work_dir)/results
mkdir -p "$cache/log" "$(work_dir)"
rm -f "$results" "$results.failed"
echo "commit: $(commit_id)" >"$results.new"

# suite NAME COMMAND...: run a suite.  If it ends without its totals, or with an error that
# its totals do not have, that is one more failure.
suite() (
	name=$1 status=0
	log=$cache/log/suite-$(tr ' ' '-' <<<"$1")
	shift
	say "== $name"
	"$@" 2>&1 | tee "$log" | sed -u 's/^\([0-9]* passed, [0-9]* failed\)$/'"$name"': \1/' || status=${PIPESTATUS[0]}
	count_suite "$log" || count 0 1
	[ "$status" = 0 ] || [ "$failed" != 0 ] || count 0 1
	echo "$name: $passed passed, $failed failed" >>"$results.new"
	if [ "$failed" != 0 ]; then
		[ "$1" != one ] || shift
		{
			echo "$name: $passed passed, $failed failed, status $status, in ${*//$repo\//}"
			what_failed "$log" | sed 's/^/\t/'
		} | tee -a "$results.failed"
	fi
)

# what_failed LOG: print the lines of a suite's log that name a failed test, and the two
# after each, which are often its reason.  A suite that names none ended early, and the end
# of its log tells why.
what_failed() {
	grep -aE -m 20 -A 2 --no-group-separator '^(not ok|case failed|script failed|no case ran|not run|leak|kernel: )|[.][.][.] (not ok|FAILED)|[[](FAILED|CRASHED)[]]|error: |panicked at|exit status [1-9]' "$1" ||
		tail -n 10 "$1"
}

# numbers WORD: print how many tests of all suites passed or failed.
numbers() {
	grep -oE "[0-9]+ $1" "$results.new" | grep -oE '^[0-9]+' | sum
}

# one COMMAND...: a suite of one test.
one() {
	local passed=0 failed=0
	if "$@"; then
		count 1 0
	else
		count 0 1
	fi
	totals
}

# These need one CPU each: tools that read the source, and one machine after the other.
# So they run at the same time, and the lines of the machines are indented.
on_the_host() (
	suite "scripts" "$repo/dev/test/scripts.sh"
	suite "style" "$repo/dev/style.sh"
	# The mails need an author, although they are not sent.
	export GIT_AUTHOR_NAME=Nobody GIT_AUTHOR_EMAIL=nobody@example.org
	export GIT_COMMITTER_NAME=Nobody GIT_COMMITTER_EMAIL=nobody@example.org
	suite "series" env SERIES=main "$repo/dev/series-check.sh" mails
	suite "series of fixes" env SERIES=fixes "$repo/dev/series-check.sh" mails
)
in_a_machine() {
	suite "machine" env CORE=rust DEBUG=1 "$repo/dev/machine.sh"
	suite "a module refused once" "$repo/dev/test/refused-once.sh"
	suite "wrong livepatches" "$repo/dev/test/rust-wrong.sh"
	suite "first livepatch in Rust" "$repo/dev/test/rust-guide.sh"
	suite "demo" one "$repo/dev/demo.sh"
	suite "installed selftests" env CORE=rust DEBUG=1 TESTS= "$repo/dev/test/installed.sh"
}

# Another architecture, with another way into the handler and weakly ordered CPUs.  Only
# upstream's scripts run there, to save time: make matrix runs all.
on_arm64() (
	export ARCH=arm64 CORE=rust DEBUG=0 LEAKS=0 TESTS=
	LEAVE_OUT=$(cd "$repo/tools/testing/selftests/livepatch" && echo test-*.sh)
	export LEAVE_OUT
	"$repo/dev/kernel.sh" >/dev/null && "$repo/dev/selftest.sh"
)

suite "tool chain" one "$repo/dev/toolchain.sh"
suite "kernel" one env CORE=rust DEBUG=1 "$repo/dev/kernel.sh"
in_a_machine | sed -u 's/^/\t/' &
machines=$!
on_the_host
wait "$machines"
suite "userland" "$repo/dev/userland.sh"
suite "klpctl" "$repo/dev/test/klpctl.sh"
suite "KUnit on um" env KUNIT_ARCH=um "$repo/dev/kunit.sh"
suite "KUnit on x86_64" env KUNIT_ARCH=x86_64 "$repo/dev/kunit.sh"
suite "checksums of exports" "$repo/dev/test/crcs.sh"
# kmemleak takes half of a machine's time.  It watches the scripts that make and free most.
# test-oom.sh is left out: it lets every allocation fail once in turn, for a quarter of an
# hour.
watched="test-livepatch.sh test-callbacks.sh test-state.sh test-shadow-vars.sh test-leave.sh test-rust.sh"
suite "selftests and kmemleak" env CORE=rust DEBUG=1 TESTS="$watched" LEAKS=1 "$repo/dev/selftest.sh"
suite "selftests" env CORE=rust DEBUG=1 TESTS= LEAVE_OUT="test-oom.sh $watched" LEAKS=0 "$repo/dev/selftest.sh"
# One CPU of this machine has no tick.
suite "selftest without a tick" env CORE=rust DEBUG=1 TESTS=test-nohz-full.sh LEAKS=0 APPEND=nohz_full=1 "$repo/dev/selftest.sh"
suite "arm64" on_arm64

count "$(numbers passed)" "$(numbers failed)"
{
	echo "kernel: Linux $(kernel_version "$(tree_dir)"), x86-64, in QEMU"
	echo "compilers: $(gcc --version | head -n 1), $("$(find_rustc)" --version)"
} >>"$results.new"
mv "$results.new" "$results"

say "all suites are done"
[ ! -e "$results.failed" ] || cat "$results.failed"
totals
