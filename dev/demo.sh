#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Show the main function, from nothing: build the kernel, boot it, and let it patch
# itself.  dev/guest/demo.sh runs in the machine and explains each step.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

"$repo/dev/kernel.sh" >/dev/null
say "booting (a quarter of a minute without hardware virtualization)"
if ! "$repo/dev/vm.sh" dev/guest/demo.sh; then
	die "the demonstration did not go as told: the last line above says where"
fi
say "done"
