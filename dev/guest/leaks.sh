#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Scan for leaked memory inside the virtual machine, if it was booted with kmemleak=on.  The
# output is in the notation that dev/lib/judge.sh reads.
#
#   dev/guest/leaks.sh           print the leaks
#   dev/guest/leaks.sh forget    forget those of the boot, before the tests

grep -qw kmemleak=on /proc/cmdline && [ -w /sys/kernel/debug/kmemleak ] || exit 0
# kmemleak reports an object from its second scan on, if it is at least 5 s old.
sleep 6
for _ in 1 2; do
	echo scan >/sys/kernel/debug/kmemleak
done
if [ "${1:-}" = forget ]; then
	echo clear >/sys/kernel/debug/kmemleak
else
	sed "s/^/# kmemleak: /" /sys/kernel/debug/kmemleak
fi
