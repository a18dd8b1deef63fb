#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Scan for leaked memory inside the virtual machine, if it was booted with kmemleak=on.  The
# output is in the notation that dev/lib/judge.sh reads.
#
#   dev/guest/leaks.sh           print the leaks
#   dev/guest/leaks.sh forget    forget those of the boot, before the tests
#
# KMEMLEAK and CMDLINE are other files than the kernel's, for the test of this script.

kmemleak=${KMEMLEAK:-/sys/kernel/debug/kmemleak}
grep -qw kmemleak=on "${CMDLINE:-/proc/cmdline}" || exit 0
if [ ! -w "$kmemleak" ]; then
	echo "# kmemleak: it is not in this kernel"
	exit 0
fi
# kmemleak reports an object from its second scan on, if it is at least 5 s old.
sleep 6
for _ in 1 2; do
	# It does so for ever if it finds no memory for itself.
	echo scan 2>/dev/null >"$kmemleak" || {
		echo "# kmemleak: it has switched itself off"
		exit 0
	}
done
if [ "${1:-}" = forget ]; then
	echo clear >"$kmemleak"
else
	sed "s/^/# kmemleak: /" "$kmemleak"
fi
