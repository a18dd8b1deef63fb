#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make packages of klpctl, a .deb and a .rpm.  The program in them has its C library with
# it, so that it runs on every distribution.  The last lines are the packages' paths.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

[ -z "${CONFIG:-}" ] || die "CONFIG=$CONFIG: klpctl has no configuration" "packages of a kernel: make package-kernel CONFIG=$CONFIG"
"$repo/dev/toolchain.sh" package
version=$(kernel_version "$("$repo/dev/lib/base.sh")")
out=$cache/packages
mkdir -p "$out"
rm -f "$out"/klpctl*.deb "$out"/klpctl*.rpm
make -C "$repo/tools/livepatch" --no-print-directory OUTPUT="$out/" RUSTC="$(find_rustc)" \
	KLPCTL_VERSION="$version" package
