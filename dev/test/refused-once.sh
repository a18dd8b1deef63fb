#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test that a module can be loaded after a livepatch has refused it once, after the core has
# written the livepatch's relocations for the module.  No compiler makes such a livepatch,
# so this is no selftest.  With CORE=c the test fails, because that core does not clear the
# relocations.  With CORE=c FIXES=1 it passes, because series/fixes corrects that.  The
# last line is "N passed, N failed".

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
