#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Follow Documentation/livepatch/rust-api.rst to the letter, in the virtual
# machine: from an empty folder to a livepatch that is applied, and back.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

# The page says make, and nothing of compilers: there, PATH's is the right one.
rustc=$(find_rustc) || die "no usable rustc" "run: make toolchain"

# The guest's own /tmp: make minds that the host has another clock.
# shellcheck disable=SC2016 # the guest's variables
"$repo/dev/vm.sh" '
export PATH=$KBUILD/selftests/livepatch:'"$(dirname "$rustc")"':$PATH
mkdir /tmp/guide
dev/guest/rust-guide.py Documentation/livepatch/rust-api.rst /tmp/guide'
