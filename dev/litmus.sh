#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ask the kernel's memory model, through herd7, whether the outcome of each litmus test
# of live patching can happen.  Each litmus test is one test: its comment has the
# expected answer, Never or Sometimes.  The last line is "N passed, N failed".
#
#   dev/litmus.sh            TESTS='start-update start-update-no-wmb', by default all

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"

litmus=$repo/Documentation/litmus-tests/livepatch
read -ra names <<<"${TESTS:-$(cd "$litmus" && printf '%s\n' *.litmus | sed 's/\.litmus$//' | xargs)}"
for name in "${names[@]}"; do
	[ -f "$litmus/$name.litmus" ] || die "TESTS names $name, which is not in ${litmus#"$repo/"}" \
		"use names of files there, without .litmus"
done

# The version that tools/memory-model/README asks for.
wanted=7.58
unpacked=$tools/herdtools7

# herd7_here ARGUMENT...: run herd7, from PATH if it is new enough, else from the
# distribution's newest package, with the C library that this needs.
herd7_here() {
	if [ -x "$unpacked/usr/bin/herd7" ]; then
		"$unpacked"/usr/lib64/ld-linux-x86-64.so.2 --library-path "$unpacked/usr/lib/x86_64-linux-gnu" \
			"$unpacked/usr/bin/herd7" -set-libdir "$unpacked/usr/share/herdtools7/herd" "$@"
	else
		herd7 "$@"
	fi
}

# fetch_herd7: unpack herd7 and the libraries that it needs, and write to the file $log.
fetch_herd7() {
	local package
	rm -rf "$unpacked.new"
	mkdir -p "$unpacked.new/packages"
	download "$unpacked.new/packages" "$log" 'forky sid' herdtools7 libc6 libgmp10 || return 1
	for package in "$unpacked.new"/packages/*.deb; do
		dpkg-deb -x "$package" "$unpacked.new" || return 1
	done
	mv "$unpacked.new" "$unpacked"
}

have=$(herd7 -version 2>/dev/null | grep -oE '^[0-9.]+') || have=0
if [ ! -x "$unpacked/usr/bin/herd7" ] && ! at_least "$wanted" "${have:-0}"; then
	say "missing: herd7 $wanted or later (asks the kernel's memory model)"
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		die "there is no apt here to fetch herdtools7 with" "install herdtools7 $wanted or later"
	fi
	log=$cache/log/herdtools7
	run_logged "fetching herdtools7" "$log" fetch_herd7
fi

model=$("$repo/dev/lib/base.sh")/tools/memory-model
for name in "${names[@]}"; do
	result=$(sed -n 's/^ \* Result: //p' "$litmus/$name.litmus")
	said=$(cd "$model" && herd7_here -conf linux-kernel.cfg "$litmus/$name.litmus" 2>&1) || true
	if grep -q "^Observation $name $result " <<<"$said"; then
		count 1 0
		say "ok: $name: $(sed -n "s/^Observation $name //p" <<<"$said")"
	else
		count 0 1
		printf 'not ok: %s should be "%s"; herd7 says:\n%s\n' "$name" "$result" "$said"
	fi
done

# tests_in_table: print the last column of the table of barriers.
tests_in_table() {
	sed '1,/^Barriers and waits$/d; /^Steps and their order$/,$d' "$repo/Documentation/livepatch/rust-core-barriers.rst" |
		awk 'NF { last = $0; next } { print last }' | sed -nE 's/^     - ``([a-z_-]+)``$/\1/p' | sort -u
}

# says RESULT FILE...: one of the files wants this result.
says() {
	grep -qsx " \* Result: $1" "${@:2}"
}

# Each barrier has a test that says Never, and another one without the barrier.
if [ -z "${TESTS:-}" ]; then
	in_table=$(tests_in_table)
	for name in $in_table; do
		says Never "$litmus/$name.litmus" && says Sometimes "$litmus/$name"-*.litmus && count 1 0 && continue
		count 0 1
		echo "not ok: the table of barriers names $name, which lacks a test that says Never, or one that says Sometimes"
	done
	for name in "${names[@]}"; do
		# This one is about the core in C.
		[[ $name != c-core-* ]] || continue
		grep -qx -e "$name" -e "${name%-*}" -e "${name%-no-*}" <<<"$in_table" && continue
		count 0 1
		echo "not ok: the table of barriers does not name $name"
	done
	keep_run "make litmus"
fi
totals
