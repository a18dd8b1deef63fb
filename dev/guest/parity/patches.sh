# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The tour of dev/guest/parity.sh: patches of vmlinux, alone, stacked, replaced, and with
# states; shadow variables.  That script calls the functions in the order of its list.

tour_one_patch() {
	local file value
	step "no patch" true
	step "enable a patch" load test_klp_livepatch
	step "load its module again" load test_klp_livepatch
	step "unload an enabled patch" unload test_klp_livepatch
	for value in 1 y garbage 2 -1 ""; do
		step "write '$value' to enabled" write "$value" test_klp_livepatch/enabled
	done
	for value in 1 Y 0 n garbage ""; do
		step "write '$value' to force" write "$value" test_klp_livepatch/force
	done
	for file in transition replace stack_order vmlinux/patched; do
		step "write to $file" write 1 "test_klp_livepatch/$file"
	done
	step "read force" read_back test_klp_livepatch/force
	step "disable the patch" disable test_klp_livepatch
	step "unload it" unload test_klp_livepatch
	step "enable it again" load test_klp_livepatch
	step "disable it with 'off'" write_and_settle off test_klp_livepatch/enabled
	step "unload it again" unload test_klp_livepatch

	step "patch a system call while tasks call it" load_under_calls
	step "disable that patch" disable_and_end_calls
	step "unload that patch" unload test_klp_syscall
}

load_under_calls() {
	local pids
	"$KBUILD/selftests/livepatch/test_klp-call_getpid" &
	callers=($!)
	"$KBUILD/selftests/livepatch/test_klp-call_getpid" &
	callers+=($!)
	pids=${callers[*]}
	load test_klp_syscall "klp_pids=${pids// /,}"
	await "all callers to use the new function" grep -qx 0 /sys/kernel/test_klp_syscall/npids
}

disable_and_end_calls() {
	disable test_klp_syscall
	kill "${callers[@]}"
	wait "${callers[@]}" 2>/dev/null
}

# Three patches of the same function, disabled in every order.
tour_stacks() {
	local order
	for order in "1 2 3" "1 3 2" "2 1 3" "2 3 1" "3 1 2" "3 2 1"; do
		step "stack three patches" load_three
		# shellcheck disable=SC2086 # numbers
		disable_three $order
		step "unload the three" unload_three
	done
	step "patches of different functions" load_different
	step "disable the one in the middle" disable test_klp_atomic_replace
	step "disable and unload all" unload_different
}

three=([1]=test_klp_livepatch [2]=test_klp_bad_input [3]=livepatch_sample)

load_three() {
	load "${three[1]}"
	load "${three[2]}" what=symbol
	load "${three[3]}"
}

disable_three() {
	local n
	for n; do
		step "of three in the order $*, disable $n" disable "${three[n]}"
	done
}

unload_three() {
	unload "${three[1]}"
	unload "${three[2]}"
	unload "${three[3]}"
}

load_different() {
	load test_klp_livepatch
	load test_klp_atomic_replace replace=0
	load test_klp_bad_input what=second_symbol symbol=version_proc_show
}

unload_different() {
	unload test_klp_atomic_replace
	go test_klp_livepatch test_klp_bad_input
}

tour_replacing() {
	step "replace no patch" load test_klp_atomic_replace replace=1
	step "disable what has replaced nothing" disable test_klp_atomic_replace
	step "unload it" unload test_klp_atomic_replace

	step "a patch to be replaced" load test_klp_livepatch
	step "replace one patch" load test_klp_atomic_replace replace=1
	step "unload the replaced patch" unload test_klp_livepatch
	step "enable it on top of what has replaced it" load test_klp_livepatch
	step "replace two by one that has the same functions" load test_klp_bad_input \
		what=second_symbol symbol=meminfo_proc_show replace=1
	step "unload the two replaced" unload_all test_klp_livepatch test_klp_atomic_replace
	step "replace by one with callbacks and without functions" load test_klp_callbacks_demo2 replace=1
	step "unload the replaced one with two functions" unload test_klp_bad_input
	step "disable the one with callbacks" disable test_klp_callbacks_demo2
	step "unload it, too" unload test_klp_callbacks_demo2

	step "many patches to be replaced" load_many
	step "replace many patches, callbacks and a module's among them" load test_klp_atomic_replace replace=1
	step "unload the many" unload_all test_klp_livepatch test_klp_callbacks_demo test_klp_mod_patch test_klp_bad_input
	step "disable what has replaced many" disable test_klp_atomic_replace
	step "unload what has replaced many" unload_all test_klp_atomic_replace test_klp_mod_target

	step "position 1 for a function" load test_klp_bad_input what=symbol sympos=1
	step "the same function without position" load test_klp_livepatch
	step "replace both" load test_klp_atomic_replace replace=1
	step "replace by position 1" replace_by_position
	step "clean up after positions" clean_after_positions
}

unload_all() {
	local module
	for module; do
		unload "$module"
	done
}

load_many() {
	load test_klp_mod_target
	load test_klp_livepatch
	load test_klp_callbacks_demo
	load test_klp_mod_patch
	load test_klp_bad_input what=symbol symbol=version_proc_show
}

replace_by_position() {
	unload_all test_klp_bad_input test_klp_livepatch
	load test_klp_livepatch
	load test_klp_bad_input what=symbol sympos=1 replace=1
}

clean_after_positions() {
	go test_klp_bad_input
	unload_all test_klp_livepatch test_klp_atomic_replace
}

tour_states() {
	step "a patch with a state" load test_klp_state
	step "the next version takes over" load test_klp_state2
	step "unload the old version" unload test_klp_state
	step "the old version is refused" load test_klp_state
	step "a replacing patch that misses the state is refused" load test_klp_atomic_replace replace=1
	step "another one without states" load test_klp_callbacks_demo2 replace=1
	step "a patch that replaces nothing may miss the state" load test_klp_atomic_replace replace=0
	step "the same version takes over" load test_klp_state3
	step "unload what it has replaced" unload_all test_klp_state2 test_klp_atomic_replace
	step "and back again" load test_klp_state2
	step "disable the last with a state" disable test_klp_state2
	step "unload all with states" unload_all test_klp_state2 test_klp_state3
	step "the state is forgotten with its patches" load test_klp_state
	step "a much newer version takes over" load test_klp_state3
	step "disable and unload the newer" go test_klp_state3
	step "unload the first" unload test_klp_state
}

tour_variables() {
	step "shadow variables" load test_klp_shadow_vars
	step "the end of shadow variables" unload test_klp_shadow_vars
	step "unusual calls" load test_klp_calls
	step "the end of unusual calls" unload test_klp_calls
}
