#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compose the kernel tree: the base, this repository's in-tree folders laid
# over it, and the diffs under series/diffs/ applied.  Only files whose content
# changed are touched, so builds stay incremental.  Prints the tree's path.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

base=$("$repo/dev/lib/base.sh")
tree=$(tree_dir)
work=$(work_dir)
stage=$work/stage
manifest=$work/composed
mkdir -p "$work"

# copy_base: the base, as its owner has it now, without the leftovers of builds.
copy_base() {
	# Composed files are the stage's business, below: copied from the base each
	# time, they would look changed to every build.
	touch "$manifest"
	sed 's|^|/|' "$manifest" >"$work/exclude"
	if is_clone "$base"; then
		git -C "$base" ls-files -z --cached | rsync -a --exclude-from="$work/exclude" --delete-missing-args --from0 --files-from=- \
			"$base/" "$tree/"
	else
		# Quiet: it would say of folders that are ours that it does not delete them.
		rsync -aq --delete --exclude-from="$work/exclude" --exclude=.git "${base_leftovers[@]/#/--exclude=}" \
			"$base/" "$tree/"
	fi
}

# The packaged base never changes once unpacked; a developer's may, at any time.
if [ ! -f "$work/base-copied" ] || [ -n "${KDIR:-}" ]; then
	[ -f "$work/base-copied" ] || say "copying the base into the composed tree (half a minute)"
	rm -f "$work/base-copied"
	mkdir -p "$tree"
	copy_base
	kernel_version "$base" >"$work/base-copied"
fi

# Stage the files that differ from the base, whole, then sync by content.
rm -rf "$stage"
mkdir -p "$stage"
cd "$repo"
in_tree_files | rsync -a --from0 --files-from=- "$repo/" "$stage/"

# FILE.diff changes FILE; FILE@PURPOSE.diff changes it further, in the order of their names.
while IFS= read -r -d '' diff; do
	file=$(diff_target "$diff")
	[ -f "$base/$file" ] || die "$diff is for a file that Linux $(kernel_version "$base") does not have: $file"
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

# Files that an earlier composition changed and this one does not: back to the base.
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
# Union first: an interruption between the two steps must forget no file.
sort -u "$manifest" "$manifest.new" -o "$manifest" 2>/dev/null || cp "$manifest.new" "$manifest"
rsync -r --checksum --perms "$stage/" "$tree/"
mv "$manifest.new" "$manifest"

printf '%s\n' "$tree"
