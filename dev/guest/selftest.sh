#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run selftests inside the virtual machine, and scan for leaks after them.  The output is
# in the notation that dev/lib/judge.sh reads.
#
#   dev/guest/selftest.sh SCRIPT...    TAKEN= a directory in which machines that share the
#                                      scripts claim them: each runs in one machine

repo=$PWD
cd "$KBUILD/selftests/livepatch" || exit 1
export KLP_SAMPLES=$KBUILD/samples/livepatch
# Upstream's functions.sh wants the build directory by this name.
export KDIR=$KBUILD
"$repo/dev/guest/leaks.sh" forget
for script in "$@"; do
	[ -z "${TAKEN:-}" ] || mkdir "$TAKEN/$script" 2>/dev/null || continue
	echo "# $script"
	status=0
	./"$script" </dev/null 2>&1 || status=$?
	echo "# $script: exit status $status"
	if [ $status != 0 ] && [ -n "$(ls /sys/kernel/livepatch)" ]; then
		echo "# livepatches are left, and would make other scripts fail: this machine ends"
		exit 0
	fi
done
"$repo/dev/guest/leaks.sh"
