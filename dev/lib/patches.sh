# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Apply source patches one after the other, to copies of the files that they change, and
# make one patch of them.  klp-build applies each patch to the original source, so that it
# takes none that needs another.  Scripts source this file after lib.sh.

# files_of PATCH: print the files that it changes.
files_of() {
	sed -nE 's#^(---|\+\+\+) [^/[:space:]]*/([^[:space:]]*).*#\2#p' "$1" | sort -u
}

# apply_patch DIRECTORY PATCH: apply it in DIRECTORY/b, and print the output of patch.  The
# original files are in DIRECTORY/a.
apply_patch() {
	local file tree
	tree=$(tree_dir)
	mkdir -p "$1/a" "$1/b"
	while IFS= read -r file; do
		if [ -f "$tree/$file" ] && [ ! -f "$1/a/$file" ]; then
			(cd "$tree" && cp --parents "$file" "$1/a" && cp --parents "$file" "$1/b")
		fi
	done < <(files_of "$2")
	patch -d "$1/b" -p1 --forward --no-backup-if-mismatch -r /dev/null <"$2" 2>&1
}

# joined_patch DIRECTORY: print one patch with the changes of all that were applied there.
joined_patch() {
	(cd "$1" && diff -Nupr a b) || [ $? = 1 ]
}
