# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # scripts.sh, and the parts before this one, set them
#
# A part of dev/test/scripts.sh: the list of differences between the cores, and those that
# name its entries.

differences=$repo/Documentation/livepatch/rust-core-differences.rst
# entries: print the names of the list.
entries() {
	sed -n 's/^- ``\([a-z-]*\)``: .*/\1/p' "$differences" | sort
}
# cited: print the names that the comparison of both cores cites.
cited() {
	grep -v '^ *//' "$repo/tools/testing/livepatch/versus/src/meant.rs" | grep -oE '"[a-z-]+"' | tr -d '"' | sort -u
}
# readme_names: print the names that README.md has.
readme_names() {
	sed -n '/^<!-- the list of differences writes from here -->$/,/^<!-- to here -->$/p' "$repo/README.md" |
		grep -oE '`[a-z-]+`' | tr -d '`' | sort
}
expect "differences: each has a name" 0 "" diff <(grep -c "^- " "$differences") <(entries | wc -l)
expect "differences: no two have the same name" 0 "" diff <(entries) <(entries | uniq)
expect "differences: versus cites names" 0 "module-stays" cited
expect "differences: the list has all names that versus cites" 0 "" diff <(cited) <(comm -12 <(cited) <(entries))
expect "differences: README.md has the same names" 0 "" diff <(entries) <(readme_names)
