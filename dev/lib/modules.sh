# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The modules of a kernel's build, for scripts on the host and in the machine.  They source
# this file.

# relocated_objects LIVEPATCH: print the objects for which the livepatch has relocations.
relocated_objects() {
	readelf -SW "$1" | sed -nE 's/.* \.klp\.rela\.([^. ]+)\..*/\1/p'
}

# built_module BUILD NAME: print the file of a module of this build.  Fails if it has none.
# Other directories of the build may have copies of older modules, and modules.order lists none.
built_module() {
	local file
	file=$(sed 's/\.o$/.ko/' "$1/modules.order" | grep -xE "(.*/)?${2//[-_]/[-_]}\.ko" | head -n 1)
	[ -n "$file" ] && printf '%s\n' "$1/$file"
}
