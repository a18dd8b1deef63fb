#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run installed selftests inside the virtual machine, without the source and without the
# build directory.
#
#   dev/guest/installed.sh SCRIPT...

set -e -o pipefail
mkdir -p /run/selftests
mount --bind "$KBUILD/installed/selftests" /run/selftests
mount --bind "$KBUILD/installed/root/lib/modules" /lib/modules
mount -t tmpfs nothing "$KTREE"
mount -t tmpfs nothing "$KBUILD"
cd /run/selftests
tests=()
for script in "$@"; do
	tests+=(--test "livepatch:$script")
done
# The script opens /dev/stdout again, which must not be a file.
./run_kselftest.sh "${tests[@]}" | cat
# The status is 5: there is no livepatch.
livepatch/klpctl status || [ $? = 5 ]
