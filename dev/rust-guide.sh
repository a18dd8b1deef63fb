#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Follow Documentation/livepatch/rust-api.rst to the letter, in the virtual
# machine: from an empty folder to a livepatch that is applied, and back.

# shellcheck source=dev/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016 # the guest's variables
TIMEOUT=${TIMEOUT:-900} "$repo/dev/vm.sh" '
export PATH=$KBUILD/selftests/livepatch:$PATH
mkdir "$SHARE/guide"
dev/rust-guide.py Documentation/livepatch/rust-api.rst "$SHARE/guide"'
