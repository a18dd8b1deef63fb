#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run upstream's tests inside the virtual machine.  The output is in the notation that
# dev/lib/judge.sh reads, and has a line "  not run: RESULT: NAME: REASON" for a test that
# neither passed nor failed.
#
#   dev/guest/upstream.sh bpf DIRECTORY TEST...          tests of BPF's test_progs
#   dev/guest/upstream.sh ftrace LOGS TEST.tc...         tests of ftrace
#   dev/guest/upstream.sh ftrace-patched LOGS TEST.tc... the same, with a livepatch

what=$1
sample=/sys/kernel/livepatch/livepatch_sample
enabled_functions=/sys/kernel/tracing/enabled_functions

# check NAME COMMAND...: one test.
check() {
	local name=$1
	shift
	if "$@"; then
		echo "TEST: $what: $name ... ok"
	else
		echo "TEST: $what: $name ... not ok"
		echo "  failed: $*"
	fi
}

# eventually COMMAND...: wait for as long as a slow machine may need.
eventually() {
	local end=$((SECONDS + 300))
	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

gone() {
	[ ! -e "$1" ]
}

# settled PATCH: it is enabled, and its transition is over.
settled() {
	[ "$(cat "$1/transition")" = 0 ] && [ "$(cat "$1/enabled")" = 1 ]
}

patched() {
	[ "$(cat /proc/cmdline)" = "this has been live patched" ]
}

original() {
	grep -q 'console=' /proc/cmdline
}

jumps() {
	grep -q ' jmp-->livepatch_cmdline_proc_show' $enabled_functions
}

can_jump() {
	zcat /proc/config.gz | grep -q '^CONFIG_LIVEPATCH_RUST_JUMP=y'
}

# unload PATCH: disable and unload it.
unload() {
	echo 0 >"$1/enabled" && eventually gone "$1" && eventually rmmod "$(basename "$1")"
}

# test_progs DIRECTORY TEST: run it.  Its output has a line "#1/2 TEST/SUBTEST:OK" for each
# subtest.
test_progs() {
	local line status=0
	cd "$1/output" || return 1
	KBUILD_OUTPUT=$KBUILD ./test_progs -v -t "$2" >"$SHARE/test_progs" 2>&1 || status=$?
	while IFS= read -r line; do
		if [[ $line =~ ^\#[0-9/]+\ +([a-z0-9_/]+):([A-Z]+)$ ]]; then
			# This kernel has all that the test needs: skipping it is a failure.
			case ${BASH_REMATCH[2]} in
			OK) echo "TEST: $what: ${BASH_REMATCH[1]} ... ok" ;;
			*) echo "TEST: $what: ${BASH_REMATCH[1]} ... not ok: ${BASH_REMATCH[2]}" ;;
			esac
		else
			echo "  $line"
		fi
	done <"$SHARE/test_progs"
	return "$status"
}

# modify_return DIRECTORY: run that test before, while and after a livepatch has its function.
modify_return() {
	local module=$1/livepatch/livepatch_modify_return.ko
	local patch=/sys/kernel/livepatch/livepatch_modify_return runs=$SHARE/runs round
	local calls=/sys/module/livepatch_modify_return/parameters/calls

	check "a livepatch of the function is loaded" insmod "$module"
	check "it settles" eventually settled $patch
	check "test_progs passes with it" test_progs "$1" modify_return
	check "the new function was called" test "$(cat $calls)" -gt 0
	check "the livepatch is still settled" settled $patch
	check "it is unloaded" unload $patch

	# The programs are attached before the livepatch here, or after it: either must do.  BPF
	# answers EAGAIN to a livepatch that comes while it changes the programs, with either core.
	: >"$runs"
	while [ ! -e "$SHARE/enough" ]; do
		test_progs "$1" modify_return >/dev/null
		echo $? >>"$runs"
	done &
	for ((round = 1; round <= 5 || (round <= 50 && $(wc -l <"$runs") <= 5); round++)); do
		check "the livepatch comes while the test runs, $round" eventually insmod "$module"
		check "it settles, $round" eventually settled $patch
		check "it goes while the test runs, $round" unload $patch
	done
	touch "$SHARE/enough"
	wait
	echo "  test_progs ran $(wc -l <"$runs") times"
	check "test_progs passed each time" test "$(sort -u "$runs")" = 0
	check "it ran more than five times" test "$(wc -l <"$runs")" -gt 5
}

# reason LOG: print the last line of a test, the reason for which it could not run.
reason() {
	grep -avE '^\+|^execute' "$1" | tail -n 1 | tr -d '\r'
}

# report LOGS: translate the output of ftracetest to a line for each test.  In the output,
# a test has a number, and its log has that number and begins with the test's name.
report() {
	local line log name passed=0 total=none
	while IFS= read -r line; do
		if [[ $line =~ ^\[([0-9]+)\].*\[([A-Z]+)\]$ ]]; then
			log=$(echo "$1/${BASH_REMATCH[1]}"-*-log.*)
			name=$(sed -En '1s|^execute( \([a-z]*\))? *: .*/test\.d/(.*)|\2\1|p' "$log")
			case ${BASH_REMATCH[2]} in
			PASS)
				passed=$((passed + 1))
				echo "TEST: $what: $name ... ok"
				;;
			FAIL | UNDEFINED)
				echo "TEST: $what: $name ... not ok"
				tail -n 25 "$log" | sed 's/^/  | /'
				;;
			*) echo "  not run: ${BASH_REMATCH[2],,}: $name: $(reason "$log")" ;;
			esac
		elif [ -n "$line" ]; then
			[[ $line != "# of passed: "* ]] || total=$((${line##* }))
			echo "  $line"
		fi
	done
	check "ftracetest came to its end" test "$total" = "$passed"
}

# ftracetest LOGS TEST.tc...
ftracetest() {
	local logs=$1
	shift
	rm -rf "$logs"
	ip link set lo up
	cd "$KBUILD/selftests/ftrace" || return 1
	export MODPROBE_OPTIONS=--dirname=$KBUILD/modules
	./ftracetest --keep --logdir "$logs" "${@/#/test.d/}" 2>&1 | report "$logs"
}

# look FILE: write the state of the livepatch to the file, again and again.  No program may
# wait meanwhile: trigger-hist-poll.tc takes every "sleep" that ends for its own.
look() {
	local state nothing
	exec {nothing}<> <(:)
	while true; do
		read -rt 3 -u "$nothing" || true
		state=handled
		! jumps || state=jumping
		patched || state=unpatched
		echo $state >>"$1"
	done
}

case $what in
bpf)
	for test in "${@:3}"; do
		check "test_progs -t $test" test_progs "$2" "$test"
		check "the livepatch is gone" eventually gone $sample
		check "the function is the old one" original
		[ "$test" != modify_return ] || modify_return "$2"
	done
	;;
ftrace)
	ftracetest "${@:2}"
	;;
ftrace-patched)
	looks=$SHARE/looks
	check "the livepatch is loaded" insmod "$KBUILD/samples/livepatch/livepatch-sample.ko"
	check "it settles" eventually settled $sample
	check "its function is replaced" patched
	! can_jump || check "its function jumps" jumps
	look "$looks" &
	ftracetest "${@:2}"
	kill $!
	echo "  when it was looked at, the function was: $(sort "$looks" | uniq -c | xargs)"
	check "its function was replaced all the time" test -s "$looks" -a "$(grep -c unpatched "$looks")" = 0
	check "it is settled" settled $sample
	! can_jump || check "its function jumps again" jumps
	check "it is disabled" eval "echo 0 >$sample/enabled"
	check "it leaves sysfs" eventually gone $sample
	check "it is unloaded" eventually rmmod livepatch_sample
	check "its function is the old one" original
	;;
esac
