#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test the virtual machine itself: ftrace rewrites code while two CPUs run it, in
# the kernel that CORE and DEBUG select, as built.  With an emulator that cannot do
# this, any later test may fail.  The last line is "N passed, N failed".
#
#   dev/machine.sh    ROUNDS=150
#
# The script switches the tracer on and off ROUNDS times.  QEMU 7.2 with a thread for
# each CPU (QEMU_OPTS='-accel tcg,thread=multi') has never reached 50.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

# A foreign machine has the build directory, but not the cache.
work=$(kernel_build)/machine
rm -rf "$work"
mkdir -p "$work"
"${cross}gcc" -O2 -Wall -o "$work/calls" "$repo/dev/guest/machine-calls.c"

say "switching the function tracer on and off (a minute)"
CPUS=2 DMESG=$work/dmesg guest machine.sh "$work/calls" "${ROUNDS:-150}" 2>&1 | tee "$work/output"
"$repo/dev/lib/judge.sh" "$work/output" "$work/dmesg"
