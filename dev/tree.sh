#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compose the kernel tree: copy this repository's in-tree directories over the base, and
# apply the diffs under series/diffs/.  The script writes only files with a changed
# content, so builds stay incremental.  It prints the tree's path.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

base=$("$repo/dev/lib/base.sh")
tree=$(tree_dir)
work=$(work_dir)
stage=$work/stage
manifest=$work/composed
# Builds compose the tree before they take turns.
take_turns "$work/composing"

# copy_base: copy the base in its present state, without the leftovers of builds.
copy_base() {
	# The stage, below, provides composed files.  If this copied them from the base each
	# time, they would look changed to every build.
	touch "$manifest"
	sed 's|^|/|' "$manifest" >"$work/exclude"
	if is_clone "$base"; then
		git -C "$base" ls-files -z --cached | rsync -a --exclude-from="$work/exclude" --delete-missing-args --from0 --files-from=- \
			"$base/" "$tree/"
	else
		# Quiet: rsync would report our directories as ones that it does not delete.
		rsync -aq --delete --exclude-from="$work/exclude" --exclude=.git "${base_leftovers[@]/#/--exclude=}" \
			"$base/" "$tree/"
	fi
}

# The packaged base does not change after it was unpacked.  A developer's base may change
# at any time.  A developer may also have deleted the tree.
[ -f "$tree/Makefile" ] || rm -f "$work/base-copied"
if [ ! -f "$work/base-copied" ] || [ -n "${KDIR:-}" ]; then
	[ -f "$work/base-copied" ] || say "copying the base into the composed tree (half a minute)"
	rm -f "$work/base-copied"
	mkdir -p "$tree"
	copy_base
	kernel_version "$base" >"$work/base-copied"
fi

# Stage the whole files that differ from the base, then sync them by content.
rm -rf "$stage"
mkdir -p "$stage"
cd "$repo"
in_tree_files | rsync -a --from0 --files-from=- "$repo/" "$stage/"

# FILE.diff changes FILE; FILE@PURPOSE.diff changes it further, in the order of their names.
while IFS= read -r -d '' diff; do
	file=$(diff_target "$diff")
	[ -f "$base/$file" ] || [ -f "$stage/$file" ] || die "$diff is for a file that Linux $(kernel_version "$base") does not have: $file"
	if [ ! -f "$stage/$file" ]; then
		mkdir -p "$stage/$(dirname "$file")"
		cp -p "$base/$file" "$stage/$file"
	fi
	if ! error=$(cd "$stage" && apply_diff "$repo/$diff" 2>&1); then
		line=$(sed -n 's/^error: patch failed: .*:\([0-9]*\)$/\1/p' <<<"$error" | head -n 1)
		die "$diff no longer applies to Linux $(kernel_version "$base")" \
			"file: $file" "hunk: $(grep -m 1 -n "^@@ -${line:-}" "$diff" || echo unknown)" "$error"
	fi
done < <(series_diffs)

# Restore files that an earlier composition changed and this one does not.
find "$stage" -type f -printf '%P\n' | sort >"$manifest.new"
if [ -f "$manifest" ]; then
	comm -23 "$manifest" "$manifest.new" | while IFS= read -r file; do
		if [ -f "$base/$file" ]; then
			cp "$base/$file" "$tree/$file"
		else
			rm -f "$tree/$file"
		fi
	done
fi
# Write the union first, so that an interruption between the two steps loses no file.
sort -u "$manifest" "$manifest.new" -o "$manifest" 2>/dev/null || cp "$manifest.new" "$manifest"
rsync -r --checksum --perms "$stage/" "$tree/"
mv "$manifest.new" "$manifest"

printf '%s\n' "$tree"
