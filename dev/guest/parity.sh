#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tour of dev/parity.sh, inside the virtual machine: every feature of live patching
# and every error, step by step.  It does not judge: it records the state after each step
# in $KBUILD/parity/records.  TOURS='...' selects some of its parts.

here=$(dirname "$0")
# shellcheck source=dev/guest/parity/record.sh
. "$here/parity/record.sh"
# shellcheck source=dev/guest/parity/patches.sh
. "$here/parity/patches.sh"
# shellcheck source=dev/guest/parity/modules.sh
. "$here/parity/modules.sh"
# shellcheck source=dev/guest/parity/refused.sh
. "$here/parity/refused.sh"
# shellcheck source=dev/guest/parity/transitions.sh
. "$here/parity/transitions.sh"

export LC_ALL=C
# Enable the core's debug messages, except those about single tasks, which come by chance.
printf 'file kernel/livepatch/* +p\nfunc klp_try_switch_task -p\n' >/sys/kernel/debug/dynamic_debug/control

begin_recording
# Parts with effects that stay until the machine ends come last.
all="one_patch stacks replacing states variables callbacks modules_come_and_go modules_fail
	bad_patches bad_modules relocations tracing transitions replacing_slowly signals forced"
for tour in ${TOURS:-$all}; do
	"tour_$tour"
done
end_recording
