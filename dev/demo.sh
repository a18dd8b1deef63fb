#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The main job, from nothing: build the kernel, boot it, and watch it patch
# itself.  The story is told by dev/demo-guest.sh, inside.

# shellcheck source=dev/lib.sh
. "$(dirname "$0")/lib.sh"

"$repo/dev/kernel.sh" >/dev/null
say "booting (a quarter of a minute; there is no hardware virtualization in use)"
if ! "$repo/dev/vm.sh" dev/demo-guest.sh; then
	die "the demonstration did not go as told: the last line above says where"
fi
say "done"
