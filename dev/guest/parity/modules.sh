# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The tour of dev/guest/parity.sh: callbacks, and modules that are patched when they are
# loaded and unloaded.

demo=test_klp_callbacks_demo

tour_callbacks() {
	step "target first" load test_klp_callbacks_mod
	step "then its patch, with callbacks" load $demo
	step "disable that" disable $demo
	step "unload both" unload_all $demo test_klp_callbacks_mod

	step "patch first" load $demo
	step "then its target" load test_klp_callbacks_mod
	step "unload the target" unload test_klp_callbacks_mod
	step "load the target again" load test_klp_callbacks_mod
	step "another patch with callbacks" load test_klp_callbacks_demo2
	step "disable the first with callbacks" disable $demo
	step "disable the second with callbacks" disable test_klp_callbacks_demo2
	step "unload all with callbacks" unload_all $demo test_klp_callbacks_demo2 test_klp_callbacks_mod

	step "a pre-patch callback that fails" load $demo pre_patch_ret=-19
	step "target and busy target" load_both_targets
	step "a pre-patch callback that fails with two targets" load $demo pre_patch_ret=-19
	step "two targets and their patch" load $demo
	step "the targets go, the patch stays" unload_all test_klp_callbacks_mod test_klp_callbacks_busy
	step "let pre-patch callbacks fail" put -19 /sys/module/$demo/parameters/pre_patch_ret
	step "a target comes, its callback fails" load test_klp_callbacks_mod
	step "another target comes, its callback fails" load test_klp_callbacks_busy
	step "let pre-patch callbacks succeed" put 0 /sys/module/$demo/parameters/pre_patch_ret
	step "the target comes at last" load test_klp_callbacks_mod
	step "disable and unload the patch" go $demo
	step "unload the target at last" unload test_klp_callbacks_mod
}

load_both_targets() {
	load test_klp_callbacks_mod
	load test_klp_callbacks_busy
}

tour_modules_come_and_go() {
	step "a target with a function" load test_klp_mod_target
	step "patch its function" load test_klp_mod_patch
	step "patch it again" load test_klp_bad_input what=symbol object=test_klp_mod_target \
		symbol=test_klp_mod_target_show
	step "the target goes" unload test_klp_mod_target
	step "the target comes" load test_klp_mod_target
	step "disable the lower patch" disable test_klp_mod_patch
	step "the target goes from the upper patch" unload test_klp_mod_target
	step "disable the upper patch without target" disable test_klp_bad_input
	step "unload both patches" unload_all test_klp_bad_input test_klp_mod_patch

	step "a patch without its target" load test_klp_mod_patch
	step "replace it without its target" load test_klp_atomic_replace replace=1
	step "the target comes when nobody patches it" load test_klp_mod_target
	step "disable and unload what has replaced" go test_klp_atomic_replace
	step "unload the rest" unload_all test_klp_mod_target test_klp_mod_patch
}

tour_modules_fail() {
	step "a patch of a module whose init function fails" load test_klp_bad_input what=symbol \
		object=test_klp_not_livepatch symbol=replacement
	step "that module" load test_klp_not_livepatch
	step "disable and unload the patch of the failing module" go test_klp_bad_input

	step "a patch of a module that is given bad parameters" load $demo
	step "the module with bad parameters" load test_klp_callbacks_busy block_transition=garbage
	step "disable and unload its patch" go $demo

	# The first patch is good, and the core has to revert it when the second fails.
	local symbol
	for symbol in test_klp_no_such_function pde; do
		step "a good patch of a module" load test_klp_mod_patch
		step "and a bad one: $symbol" load test_klp_bad_input what=symbol \
			object=test_klp_mod_target symbol=$symbol
		step "the module is refused: $symbol" load test_klp_mod_target
		step "disable and unload both: $symbol" go test_klp_mod_patch test_klp_bad_input
		step "bad patch first: $symbol" load test_klp_bad_input what=symbol \
			object=test_klp_mod_target symbol=$symbol
		step "good patch second: $symbol" load test_klp_mod_patch
		step "the module is refused again: $symbol" load test_klp_mod_target
		step "without the bad patch: $symbol" go test_klp_bad_input
		step "the module is accepted: $symbol" load test_klp_mod_target
		step "a bad patch of a module that is there: $symbol" load test_klp_bad_input what=symbol \
			object=test_klp_mod_target symbol=$symbol
		step "the end of the good patch: $symbol" go test_klp_mod_patch
		step "unload the module: $symbol" unload test_klp_mod_target
	done
	step "a module called vmlinux" load named_vmlinux
	step "a patch of an object called vmlinux" load test_klp_bad_input what=symbol object=vmlinux
	step "a module called vmlinux, under that patch" load named_vmlinux
	step "disable and unload it" go test_klp_bad_input
}
