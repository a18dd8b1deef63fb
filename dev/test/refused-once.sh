#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A module that is refused once, after a livepatch's relocations of it have been
# written, can be loaded the next time.  The livepatch is one that no compiler
# makes, so that this is none of the selftests.  With CORE=c it fails: that core leaves
# the relocations written.  With CORE=c FIXES=1 it passes: series/fixes mends that.
# The last line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

build=$("$repo/dev/kernel.sh")
build_parity_modules "$build"
target=test_klp_mod_target
"$repo/dev/lib/edit-module.py" "$build/parity-modules/test_klp_relocs.ko" "$build/parity-modules/refused-once.ko" \
	--relocs .rela.klp_slots .klp.rela.$target..klp_slots \
	--symbol test_klp_relocs_first .klp.sym.$target.${target}_show,1 \
	--symbol test_klp_relocs_second .klp.sym.$target.${target}_show,0

check "a module that was refused once" quietly \
	"$repo/dev/vm.sh" "dev/guest/refused-once.sh $(printf '%q' "$build/parity-modules/refused-once.ko")"
totals
