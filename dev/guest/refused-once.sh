#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Load a module that is refused the first time, inside the virtual machine.  The livepatch
# refused-once.ko has relocations for the module.
#
#   dev/guest/refused-once.sh LIVEPATCH

fail() {
	echo "$*"
	dmesg | tail -n 15
	exit 1
}

target=test_klp_mod_target
load() {
	insmod "$KBUILD/selftests/livepatch/test_modules/$target.ko"
}

insmod "$1" refusals=1 || fail "the livepatch is not accepted"
! load 2>/dev/null || fail "the target is not refused"
load || fail "the target is refused a second time"
read -r shown <"/proc/$target"
function="${target}_show [$target]"
[ "$shown" = "test_klp_relocs: $function $function" ] || fail "the target shows: $shown"
