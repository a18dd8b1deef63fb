#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Load mutated livepatches inside the virtual machine, and scan for leaks after them.  The
# output is in the notation that dev/lib/judge.sh reads.
#
#   dev/guest/fuzz.sh ARGUMENT...    of tools/testing/livepatch/fuzz

repo=$PWD
cd "$KBUILD/selftests/livepatch/test_modules" || exit 1
echo "# fuzz.sh"
# Each case has to be in the log before it is tried: do not limit the rate of writes to it.
echo on >/proc/sys/kernel/printk_devkmsg
# A machine that goes on after a warning may fail later, in another case.  One that hangs
# would go on until its time is up.  Not every kernel looks for hung tasks.
for setting in panic_on_warn hung_task_panic panic_on_rcu_stall; do
	[ ! -w /proc/sys/kernel/$setting ] || echo 1 >/proc/sys/kernel/$setting
done
# Modules are refused after a wait for RCU.
echo 1 >/sys/kernel/rcu_expedited
"$repo/dev/guest/leaks.sh" forget
status=0
"$KBUILD/selftests/livepatch-fuzz" --target test_klp_mod_target.ko "$@" \
	test_klp_livepatch.ko test_klp_atomic_replace.ko test_klp_mod_patch.ko 2>&1 || status=$?
if [ $status = 0 ]; then
	echo "TEST: mutated livepatches ... ok"
else
	echo "TEST: mutated livepatches ... not ok"
fi
echo "# fuzz.sh: exit status $status"
"$repo/dev/guest/leaks.sh"
