#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test that the kernel, as built, rejects livepatches in Rust that must not compile.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

out=$(kernel_build)
[ -f "$out/Module.symvers" ] || die "there is no kernel in $out" "make kernel"
take_turns "$(work_dir)"
set_kmake
KDIR=$out "$repo/tools/testing/livepatch/wrong/run.sh" --no-print-directory "${kmake[@]:3}"
