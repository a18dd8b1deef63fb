#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the commands of Documentation/livepatch/rust-api.rst in the virtual machine: from an
# empty directory to a livepatch that is applied, and back.  The last line is
# "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

rustc=$(find_rustc) || die "no usable rustc" "run: make toolchain"
work=$cache/rust-guide
rm -rf "$work"
mkdir -p "$work"
DMESG=$work/dmesg guest rust-guide.sh "$(dirname "$rustc")" 2>&1 | tee "$work/output"
"$repo/dev/lib/judge.sh" "$work/output" "$work/dmesg"
