#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Write the patch series: series/commits/ says what goes into which commit, and
# series/cover what the cover letter says.  Proves with git am that it makes of the
# base what dev/tree.sh composes.  The last line printed is the folder of patches.
#
#   dev/series.sh            SIGNOFF=1  ASSISTED_BY='TOOL...'  REROLL=2  KDIR=path
#
# It leaves behind, for dev/series-check.sh, beside the patches: the repository git/
# with the branches base and applied, and what is new, by its places.

# shellcheck disable=SC2030,SC2031 # each subshell means its own index
# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

reroll=${REROLL:-1}
[[ $reroll =~ ^[1-9][0-9]*$ ]] || die "REROLL=$reroll: not the number of a version" "REROLL=2 writes v2"
case ${SIGNOFF:-0} in 0 | 1) ;; *) die "SIGNOFF=$SIGNOFF: not understood" "use SIGNOFF=1 or leave it unset" ;; esac

# who KIND: "Name <address>", from the caller's git configuration or environment.
who() {
	local ident
	ident=$(git -C "$repo" -c user.useConfigOnly=true var "GIT_$1_IDENT" 2>/dev/null) ||
		die "git does not know who you are, and a series has an author" \
			"git config --global user.name 'Your Name'" "git config --global user.email you@example.org"
	printf '%s\n' "${ident% * *}"
}
author=$(who AUTHOR)
committer=$(who COMMITTER)

work=$(work_dir)
series=$work/series
git=$series/git
patches=$series/v$reroll
mkdir -p "$series"
take_turns "$work"
tree=$("$repo/dev/tree.sh")
base=$("$repo/dev/lib/base.sh")
version=$(kernel_version "$base")

# ---- which file belongs to which commit

# A file of series/commits/ is a commit message, a line "Files:", and patterns.
message_of() {
	sed '/^Files:$/,$d' "$repo/series/commits/$1"
}
patterns_of() {
	sed '1,/^Files:$/d; /^#/d; /^$/d' "$repo/series/commits/$1"
}

mapfile -t commits < <(cd "$repo/series/commits" && printf '%s\n' * | LC_ALL=C sort)
patterns=() pattern_owners=()
for commit in "${commits[@]}"; do
	grep -qx 'Files:' "$repo/series/commits/$commit" ||
		die "series/commits/$commit does not say which files belong to it" "add a line 'Files:' and a pattern a line"
	while IFS= read -r pattern; do
		patterns+=("$pattern")
		pattern_owners+=("$commit")
	done < <(patterns_of "$commit")
done

# owner_of FILE: the commit it belongs to: the longest pattern that matches wins.
owner_of() {
	local i length=0 owner='' others=''
	for i in "${!patterns[@]}"; do
		# shellcheck disable=SC2053 # it is a pattern
		[[ $1 == ${patterns[i]} ]] || continue
		if [ ${#patterns[i]} -gt "$length" ]; then
			length=${#patterns[i]} owner=${pattern_owners[i]} others=''
		elif [ ${#patterns[i]} -eq "$length" ] && [ "${pattern_owners[i]}" != "$owner" ]; then
			others+=" and to series/commits/${pattern_owners[i]}"
		fi
	done
	[ -n "$owner" ] || die "$1 belongs to no commit" "give it one: a pattern in a file under series/commits/"
	[ -z "$others" ] || die "$1 belongs to series/commits/$owner$others" \
		"the longest pattern wins: make one of them longer"
	printf '%s\n' "$owner"
}

# Lines "COMMIT<tab>FILE", also for the diffs, in the order in which they apply.
map=$series/map
while IFS= read -r -d '' file; do
	owner=$(owner_of "$file")
	printf '%s\t%s\n' "$owner" "$file"
done < <(in_tree_files | LC_ALL=C sort -z && series_diffs) >"$map"
files_of() {
	awk -F'\t' -v commit="$1" '$1 == commit { print $2 }' "$map"
}

# ---- the base, as a commit

# What the author's git is told about diffs, mails and signatures changes nothing.
name=${author% <*} mail=${author##*<}
export GIT_AUTHOR_NAME=$name GIT_AUTHOR_EMAIL=${mail%>}
name=${committer% <*} mail=${committer##*<}
export GIT_COMMITTER_NAME=$name GIT_COMMITTER_EMAIL=${mail%>}

base_commit=
if is_clone "$base"; then
	export GIT_OPTIONAL_LOCKS=0
	base_commit=$(git -C "$base" rev-parse HEAD)
	changed=$(git -C "$base" diff --name-only HEAD)
	[ -z "$changed" ] || die "KDIR=$KDIR has changes that are not committed, so no commit is the base of a series" \
		"$changed" "commit them, or leave them out: git stash, git worktree add"
	objects=$(cd "$base" && cd "$(git rev-parse --git-common-dir)" && pwd)
fi
# The date of a commit: what makes the same series again.
date=$(git -C "$repo" log -1 --format=%ct 2>/dev/null) || date=$(date +%s)

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
if [ ! -d "$git" ]; then
	git init -q --bare "$git"
	git -C "$git" config core.fsync none
	git -C "$git" config core.looseCompression 1
	git -C "$git" config gc.auto 0
fi
export GIT_DIR=$git

if [ -n "$base_commit" ]; then
	printf '%s/objects\n' "$objects" >"$git/objects/info/alternates"
	cp "$objects/shallow" "$git/shallow" 2>/dev/null || rm -f "$git/shallow"
	start=$base_commit
else
	# Later on, only what has changed is read again.
	printf '%s\n' "${base_leftovers[@]}" .git >"$series/leftovers"
	[ -f "$series/base.index" ] || say "reading the base (a minute)"
	start=$(
		cd "$base"
		export GIT_WORK_TREE=. GIT_INDEX_FILE=$series/base.index
		git ls-files -z -o -m -d --exclude-from="$series/leftovers" |
			git update-index -z --add --remove --stdin
		GIT_AUTHOR_DATE="@0 +0000" GIT_COMMITTER_DATE="@0 +0000" \
			git commit-tree -m "Linux $version, as unpacked" "$(git write-tree)"
	)
fi
git update-ref refs/heads/base "$start"

# ---- the commits

export GIT_INDEX_FILE=$series/index
git read-tree "$start"
scratch=$series/scratch

# add_files: each file named on standard input, whole.
add_files() {
	local file mode new=()
	while IFS= read -r file; do
		! git cat-file -e "base:$file" 2>/dev/null ||
			die "$file is upstream's, and is here" "make it a diff: series/diffs/$file.diff"
		new+=("$file")
	done
	[ ${#new[@]} -gt 0 ] || return 0
	paste <(for file in "${new[@]}"; do
		mode=100644
		[ ! -x "$repo/$file" ] || mode=100755
		printf '%s\n' "$mode"
	done) <(cd "$repo" && printf '%s\n' "${new[@]}" | git hash-object -w --no-filters --stdin-paths) \
		<(printf '%s\n' "${new[@]}") | sed 's/\t/ /' | git update-index --index-info
}

# add_diff COMMIT DIFF: the file it changes, changed further.
add_diff() {
	local file mode hash error
	file=$(diff_target "$2")
	read -r mode hash _ < <(git ls-files -s -- "$file")
	rm -rf "$scratch"
	mkdir -p "$scratch/$(dirname "$file")"
	git cat-file blob "$hash" >"$scratch/$file"
	error=$(cd "$scratch" && unset GIT_INDEX_FILE && apply_diff "$repo/$2" 2>&1) ||
		die "$2 does not apply where series/commits/$1 has it" "$error" \
			"of one file's diffs, those of earlier commits must come earlier by their names"
	hash=$(git hash-object -w --no-filters "$scratch/$file")
	git update-index --cacheinfo "$mode,$hash,$file"
}

tip=$start
for commit in "${commits[@]}"; do
	mapfile -t files < <(files_of "$commit")
	if [ ${#files[@]} -eq 0 ]; then
		say "no file belongs to series/commits/$commit yet: left out"
		continue
	fi
	printf '%s\n' "${files[@]}" | { grep -v '^series/diffs/' || true; } | add_files
	for file in "${files[@]}"; do
		[[ $file != series/diffs/* ]] || add_diff "$commit" "$file"
	done
	date=$((date + 1))
	tip=$(message_of "$commit" | git interpret-trailers ${ASSISTED_BY:+--trailer "Assisted-by: $ASSISTED_BY"} |
		GIT_AUTHOR_DATE="@$date +0000" GIT_COMMITTER_DATE="@$date +0000" git commit-tree -p "$tip" "$(git write-tree)")
done
rm -rf "$scratch"
git update-ref refs/heads/series "$tip"
unset GIT_INDEX_FILE
count=$(git rev-list --count base..series)
[ "$count" -gt 0 ] || die "there is nothing to send"

# ---- the cover letter

described() {
	if [ -n "$base_commit" ]; then
		echo "It applies to commit $(git rev-parse --short=12 base), Linux $version."
	elif [ -n "${KDIR:-}" ]; then
		echo "It was made from a source tree of Linux $version without a git history: there"
		echo "is no base commit."
	else
		# base.sh has noted which package it is.
		echo "It was made from Linux $version as Debian packages it, of which there is"
		echo "no commit$(sed 's/.*/ (&)/' "$base/.complete")."
	fi
}

# since FILE WHAT COMMAND: what to say of results, if what they are of has changed since.
since() {
	local commit
	commit=$(sed -n 's/^commit: \([0-9a-f]*\).*/\1/p' "$1")
	if [ -z "$commit" ] || ! (
		unset GIT_DIR
		git -C "$repo" diff --quiet "$commit" -- "${in_tree[@]}" series/diffs \
			":!$figures" 2>/dev/null
	); then
		say "$2 are of another state than this series: $3"
		echo "(${2^} are of an earlier state.)"
	fi
}
results=$work/results
bench=$repo/$figures/table.txt
# What the benchmark has to say first, and of what, as plain text.
figures() {
	awk -F ' *[|] *' '!/^[|]-/ { printf "  %-50s %9s %9s %8s\n", $2, $3, $4, $5 }' "$repo/$figures/summary.md"
	echo
	sed '1,/^kernel: /{/^kernel: /!d}; s/^/  /' "$bench"
}
# The section of that name in rust-core.rst, as plain text.
differs() {
	awk -v title="What differs from the C core" '
		on == 2 && /^[=-]+$/ { exit }
		on == 2 { if (held) print last; held = 1; last = $0 }
		on == 1 { on = 2 }
		$0 == title { on = 1 }' "$repo/Documentation/livepatch/rust-core.rst" |
		sed -E 's/``//g; s|:doc:`([^`]*)`|Documentation/livepatch/\1.rst|g' |
		awk '/^- / { printf "\n\n" } { sub(/^ +/, ""); printf "%s%s", $0, /^$/ ? "" : " " } END { print "" }' |
		fmt -w 70 | sed '/^- /,$ s/^[^-]/  &/'
}
filled() {
	local line
	while IFS= read -r line; do
		case $line in
		@base@) described ;;
		@tests@)
			if [ -f "$results" ]; then
				sed 's/^./  &/' "$results"
				since "$results" "the test results" "make test"
			else
				say "the cover letter has no test results: make test"
				echo "  (not run)"
			fi
			;;
		@bench@)
			if [ -f "$bench" ]; then
				figures
				since "$bench" "the benchmark's figures" "make bench"
			else
				say "the cover letter has no figures of the benchmark: make bench"
				echo "  (not measured)"
			fi
			;;
		@differs@) differs ;;
		@tools@) [ -z "${ASSISTED_BY:-}" ] || echo "Parts of this were made with tools: $ASSISTED_BY." ;;
		@changes@) [ "$reroll" = 1 ] || changes ;;
		*) printf '%s\n' "$line" ;;
		esac
	done <"$repo/series/cover"
}
# The changelog, newest first: sections "Changes in vN:" of series/changes.
changes() {
	local n
	for ((n = reroll; n > 1; n--)); do
		awk -v n="$n" '/^Changes in v[0-9]+:$/ { on = $3 == "v" n ":" } on' "$repo/series/changes"
	done
}
for ((n = reroll; n > 1; n--)); do
	grep -qx "Changes in v$n:" "$repo/series/changes" ||
		die "series/changes does not say what changed in v$n" "add a section 'Changes in v$n:'"
done
# Where nothing is filled in, no gap remains.
filled | cat -s >"$series/cover"

# ---- the mails

options=(--quiet --cover-letter --cover-from-description=subject --output-directory "$patches")
[ "$reroll" = 1 ] || options+=(--reroll-count="$reroll")
[ "${SIGNOFF:-0}" = 0 ] || options+=(--signoff)
[ -z "$base_commit" ] || options+=(--base=base)
git config branch.series.description "$(cat "$series/cover")"

# What is new, by the folder where all of it is, and the upstream files that change.
git diff --name-status base series | awk '
	NR == FNR { there[$0] = 1; next }
	{
		n = split($2, part, "/")
		place = part[1]
		for (i = 2; place in there && i <= n; i++)
			place = place "/" part[i]
		if (!seen[place]++)
			print ($1 == "A" ? "new" : "changed"), place
	}' <(git ls-tree -rd --name-only base) FS='\t' - >"$series/places"

# Who is to get them: maintainers first; the others, and the lists, get copies. All
# get all. Words in the text (K: in MAINTAINERS) are taken for no more than words.
mapfile -t places < <(cut -d ' ' -f 2- "$series/places")
(
	unset GIT_DIR
	cd "$tree"
	scripts/get_maintainer.pl --nogit --nogit-fallback --nokeywords --roles --norolestats -f "${places[@]}"
) | awk '{
	role = $0
	sub(/.* \(/, "", role)
	sub(/ \([^(]*\)$/, "")
	print (role ~ /^(maintainer|supporter)/ ? "--to=" : "--cc=") $0
}' >"$series/people"
grep -q '^--to=' "$series/people" || die "scripts/get_maintainer.pl names nobody to send this to"
mapfile -t people <"$series/people"
rm -rf "$patches"
GIT_COMMITTER_DATE="@$date +0000" git format-patch "${options[@]}" "${people[@]}" base..series
mapfile -t mails < <(find "$patches" -name '*.patch' ! -name '*0000-cover-letter.patch' | sort)

# ---- the proof

am=$series/am
rm -rf "$am"
git worktree prune
git worktree add -q --no-checkout --detach "$am" base
(
	unset GIT_DIR
	cd "$am"
	# Only what it changes need be there.
	printf '/%s\n' "${places[@]}" | git sparse-checkout set --no-cone --stdin
	git checkout -q
	git am "${mails[@]}" >"$series/am.log" 2>&1 || die "the series does not apply" "$(tail -n 20 "$series/am.log")"
	git update-ref refs/heads/applied HEAD
)
[ "$(git log --format=%T base..applied)" = "$(git log --format=%T base..series)" ] ||
	die "a mail makes something else than the commit that it was written from" "log: $series/am.log"

composed=$(
	export GIT_INDEX_FILE=$series/composed.index GIT_WORK_TREE=$tree
	cd "$tree"
	[ -f "$GIT_INDEX_FILE" ] || git read-tree base
	git add -A
	# What .gitignore would leave out is in the tree all the same.
	tr '\n' '\0' <"$work/composed" | git add -f --pathspec-from-file=- --pathspec-file-nul
	git write-tree
)
[ "$(git rev-parse 'applied^{tree}')" = "$composed" ] ||
	die "the series makes something else of the base than make tree does" \
		"$(git diff --stat "$composed" applied | tail -n 20)"

say "$count patches and a cover letter, for Linux $version"
printf '%s\n' "$patches"
