#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Write the patch series: series/commits/ lists the files of each commit, and
# series/cover is the cover letter.  git am proves that the base and the mails make the
# tree that dev/tree.sh composes.  The last line is the directory of the mails.
#
#   dev/series.sh            SIGNOFF=1  ASSISTED_BY='TOOL...'  REROLL=2  KDIR=path
#                            SERIES=fixes writes the fixes in series/fixes/
#
# The Python package in dev/series/ writes the series; this script gives its settings.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

reroll=${REROLL:-1}
[[ $reroll =~ ^[1-9][0-9]*$ ]] || die "REROLL=$reroll: not the number of a version" "REROLL=2 writes v2"
case ${SIGNOFF:-0} in 0 | 1) ;; *) die "SIGNOFF=$SIGNOFF: not understood" "use SIGNOFF=1 or leave it unset" ;; esac

# ident KIND: "Name <address>", from the caller's git configuration or environment.
ident() {
	local found
	found=$(git -C "$repo" -c user.useConfigOnly=true var "GIT_$1_IDENT" 2>/dev/null) ||
		die "git does not know who you are, and a series has an author" \
			"git config --global user.name 'Your Name'" "git config --global user.email you@example.org"
	printf '%s\n' "${found% * *}"
}
author=$(ident AUTHOR)
committer=$(ident COMMITTER)

work=$(work_dir)
take_turns "$work"
base=$("$repo/dev/lib/base.sh")
version=$(kernel_version "$base")
[ "${version%.*}" = "${supported[0]}" ] || die "the base is Linux $version, and the series is for ${supported[0]}" \
	"name a source tree or git clone of Linux ${supported[0]}: make series KDIR=path"
tree=$("$repo/dev/tree.sh")

settings=(--repo "$repo" --series "$series_dir" --base "$base" --tree "$tree" --work "$work" --version "$version"
	--author "$author" --committer "$committer" --figures "$figures" --reroll "$reroll" --elapsed "$SECONDS"
	"${in_tree[@]/#/--in-tree=}" "${base_leftovers[@]/#/--leftover=}")
[ -z "${KDIR:-}" ] || settings+=(--kdir)
! is_clone "$base" || settings+=(--clone)
[ "${SIGNOFF:-0}" = 0 ] || settings+=(--signoff)
[ -z "${ASSISTED_BY:-}" ] || settings+=("--assisted-by=$ASSISTED_BY")
{ in_tree_files | LC_ALL=C sort -z && series_diffs; } |
	PYTHONPATH=$repo/dev PYTHONDONTWRITEBYTECODE=1 python3 -m series "${settings[@]}"
