# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # records is dev/guest/parity/record.sh's
#
# The tour of dev/guest/parity.sh: transitions that wait.  A kworker that sleeps in an
# original function holds up the patching of that function, as the last task in state 0.
# A reader in a new function holds up its unpatching, as the last task in state 1.

hold=test_klp_hold

insert_held() {
	insert "$@"
	held 0 worker
}

reverse() {
	write "$1" $hold/enabled
	held "$2" "$3"
}

tour_transitions() {
	step "a patch that is settled" load test_klp_livepatch
	step "a worker in a function" block_worker
	step "a transition that waits for it" insert_held $hold
	step "unload the patch in transition" remove $hold
	step "enable another patch meanwhile" insert test_klp_atomic_replace replace=0
	step "enable a replacing patch meanwhile" insert test_klp_atomic_replace replace=1
	step "disable the settled patch meanwhile" write 0 test_klp_livepatch/enabled
	step "enable the settled patch meanwhile" write 1 test_klp_livepatch/enabled
	step "force the settled patch meanwhile" write 1 test_klp_livepatch/force
	step "enable the patch in transition" write 1 $hold/enabled
	step "do not force it" write 0 $hold/force
	step "a module that nobody patches comes" insert test_klp_callbacks_mod
	step "and goes" remove test_klp_callbacks_mod
	step "fork in a transition" fork
	step "a reader in the new function" hold_reader
	step "reverse the transition" reverse 0 1 reader
	step "disable it once more" write 0 $hold/enabled
	step "enable another patch while unpatching" insert test_klp_atomic_replace replace=0
	step "reverse it again" reverse 1 0 worker
	step "reverse it a third time" reverse 0 1 reader
	step "the worker leaves, the reader stays" release_worker
	step "the worker's module goes while unpatching" remove test_klp_callbacks_busy
	step "it comes while unpatching" insert test_klp_callbacks_busy
	step "the reader leaves" release_and_settle reader
	step "unload what was taken back" unload_all $hold test_klp_callbacks_busy

	step "a worker again" block_worker
	step "a waiting transition again" insert_held $hold
	step "the worker leaves" release_and_settle worker
	step "a reader of a settled patch" hold_reader
	step "a patch on top of the new function" insert_on_reader
	step "that reader leaves" release_and_settle reader
	step "the upper patch goes" go test_klp_bad_input
	step "a reader before unpatching" hold_reader
	step "unpatching waits" reverse 0 1 reader
	step "turn it back" write_and_settle 1 $hold/enabled
	step "the patch is enabled again" release_and_settle reader
	step "disable and unload that" go $hold

	step "a worker for the patch with callbacks" busy_again
	step "callbacks in a waiting transition" insert_held test_klp_callbacks_demo
	step "its other target comes in the transition" insert test_klp_callbacks_mod
	step "its other target goes in the transition" remove test_klp_callbacks_mod
	step "let callbacks fail" put -19 /sys/module/test_klp_callbacks_demo/parameters/pre_patch_ret
	step "its other target fails in the transition" insert test_klp_callbacks_mod
	step "let callbacks succeed" put 0 /sys/module/test_klp_callbacks_demo/parameters/pre_patch_ret
	step "its other target stays" insert test_klp_callbacks_mod
	step "take the patch with callbacks back" disable test_klp_callbacks_demo
	step "unload the patch with callbacks" unload test_klp_callbacks_demo
	step "once more" insert_held test_klp_callbacks_demo
	step "complete it" release_and_settle worker
	step "the end of callbacks" go test_klp_callbacks_demo
	step "unload their targets" unload_all test_klp_callbacks_mod test_klp_callbacks_busy
	step "the settled patch goes" go test_klp_livepatch
}

fork() {
	sleep infinity &
	echo "the new task is in state $(cat /proc/$!/patch_state)"
	kill $!
	wait $! 2>/dev/null
}

release_and_settle() {
	"release_$1"
	settle
}

# The reader is in the function that the next patch takes away.
insert_on_reader() {
	insert test_klp_bad_input what=symbol symbol=version_proc_show
	held 0 reader
}

busy_again() {
	unload test_klp_callbacks_busy
	block_worker
}

tour_replacing_slowly() {
	step "patches to be replaced slowly" load_replaceable
	step "the worker for that" block_worker
	step "a replacing transition that waits" insert_held $hold replace=1
	step "a target goes from under a nop" remove test_klp_mod_target
	step "and comes" insert test_klp_mod_target
	step "unload a patch that is being replaced" remove test_klp_livepatch
	step "disable a patch that is being replaced" write 0 test_klp_livepatch/enabled
	step "take the replacing patch back" disable $hold
	step "unload the replacing patch" unload $hold
	step "replace again" insert_held $hold replace=1
	step "the target of a nop goes for good" remove test_klp_mod_target
	step "the replacement is complete" release_and_settle worker
	step "unload what was replaced" unload_all test_klp_livepatch test_klp_mod_patch test_klp_atomic_replace
	step "disable and unload what replaced it" go $hold
	step "unload the worker's module" unload test_klp_callbacks_busy
}

load_replaceable() {
	load test_klp_mod_target
	load test_klp_livepatch
	load test_klp_mod_patch
	load test_klp_atomic_replace replace=0
}

tour_signals() {
	step "a worker that stays" block_worker
	step "a transition that waits long" insert_held $hold
	step "remaining tasks are signaled" await_signals
	step "and the transition completes" release_and_settle worker
	step "the end of the signaled" go $hold
	step "the end of the worker" unload test_klp_callbacks_busy
}

await_signals() {
	await "signals" grep -q 'signaling remaining tasks' "$records/kmsg"
	held 0 worker
	# Print the message with its level, once, because a slow machine logs it several times.
	sed -n 's/^\([0-9]*\),[^;]*;\(livepatch: signaling .*\)/\1: \2/p' "$records/kmsg" | sort -u
}

# With the core in C, the modules of patches that a forced transition disables or replaces
# stay until the machine ends.
tour_forced() {
	step "a worker not to be waited for" block_worker
	step "a transition to be forced" insert_held $hold
	step "force it" write_and_settle 1 $hold/force
	step "force it again" write 1 $hold/force
	step "the worker leaves after that" release_worker
	step "a patch that was forced goes as any other" go $hold
	step "the worker's module, too" unload test_klp_callbacks_busy

	forced="test_klp_livepatch test_klp_mod_patch"
	step "patches to be replaced by force" load_to_force
	step "a worker for that" block_worker
	step "a replacement to be forced" insert_held $hold replace=1
	step "force the replacement" write_and_settle 1 $hold/force
	step "its target goes" unload test_klp_mod_target
	step "and comes to nobody" load test_klp_mod_target
	step "the worker leaves the old function" release_worker

	forced+=" $hold"
	step "a reader not to be waited for" hold_reader
	step "unpatching to be forced" reverse 0 1 reader
	step "force unpatching" write_and_settle 1 $hold/force
	step "unload a patch that was forced to go" unload $hold
	step "the reader leaves after that" release_reader
	step "load it again" load $hold
	step "a patch after all that" load test_klp_atomic_replace replace=1
	step "disable and unload it" go test_klp_atomic_replace
	step "the end" unload_all test_klp_callbacks_busy test_klp_mod_target
}

load_to_force() {
	load test_klp_mod_target
	load test_klp_livepatch
	load test_klp_mod_patch
}
