# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # scripts.sh, and the parts before this one, set them
#
# A part of dev/test/scripts.sh: the patch series.

# The patch series, from a small repository and a small base.
rm -rf "$copy"
mkdir -p "$copy" "$scratch/linux"/{Documentation,arch,drivers,fs,include,init,ipc,lib,scripts}
cp -a "$repo/README.md" "$repo/dev" "$repo/Documentation" "$repo/kernel" "$repo/series" "$copy/"
git init -q "$copy"
git -C "$copy" add -A
git -C "$copy" -c user.name=x -c user.email=x@example.org commit -qm all
small_base "$scratch/linux"
# The series is for the newest base.
sed -i "s/^PATCHLEVEL = .*/PATCHLEVEL = ${supported[0]#*.}/" "$scratch/linux/Makefile"
touch "$scratch/linux"/{COPYING,CREDITS,Kbuild,README} "$scratch/linux"/{arch,drivers,fs,include,init,ipc,lib}/Kconfig
cp "$base/scripts/get_maintainer.pl" "$scratch/linux/scripts/"
printf '[user]\n\tname = Ada Author\n\temail = ada@example.org\n[format]\n\tsignoff = true\n' >"$scratch/gitconfig"
written() {
	env -u GIT_AUTHOR_NAME -u GIT_AUTHOR_EMAIL -u GIT_COMMITTER_NAME -u GIT_COMMITTER_EMAIL -u EMAIL \
		GIT_CONFIG_GLOBAL="$scratch/gitconfig" GIT_CONFIG_NOSYSTEM=1 KDIR="$scratch/linux" \
		LIVEPATCH_RUST_CACHE="$scratch/series-cache" "$@" "$copy/dev/series.sh"
}
# rewritten [VARIABLE=value...]: write the series again; sets patches.
rewritten() {
	patches=$(written "$@" 2>/dev/null) || patches=$scratch/none
}
# in_series NAME STATUS LINE FILES: STATUS is 0 if a mail must have that line, and 1 if no
# mail may have it.
in_series() {
	expect "series: $1" "$2" "" grep -rqxF -e "$3" "$patches" --include="$4"
}
expect "series: from a directory" 0 "patches and a cover letter" written
rewritten
expect "series: the cover letter knows no commit" 0 "without a git history" cat "$patches/0000-cover-letter.patch"
in_series "nobody signs off" 1 "Signed-off-by: Ada Author <ada@example.org>" "*"
in_series "the author is the user" 0 "From: Ada Author <ada@example.org>" "0001-*"
maintainer=$(sed -n '/^LIVE PATCHING$/,/^$/s/^M:\t//p' "$base/MAINTAINERS" | head -n 1)
expect "series: whom it is to" 0 "To: $maintainer" cat "$patches/0000-cover-letter.patch"
expect "series: the list" 0 "live-patching@vger.kernel.org" sed '/^$/,$d' "$patches/0000-cover-letter.patch"
printf '/.checkpatch*\n' >"$scratch/linux/.gitignore"
touch "$scratch/linux/.checkpatch-camelcase.date.0"
expect "series: from a directory in which checkpatch ran" 0 "patches and a cover letter" written

linux() {
	git -C "$scratch/linux" -c user.name=x -c user.email=x@example.org "$@"
}
git init -q "$scratch/linux"
linux add -A
linux commit -qm base
rewritten PERL_HASH_SEED=1
in_series "the base is a commit" 0 "base-commit: $(linux rev-parse HEAD)" "0000-*"
git clone -q "$scratch/linux" "$scratch/applied"
mapfile -t mails < <(find "$patches" -name '*.patch' ! -name '0000-*' | sort)
expect "series: git am" 0 "Applying: livepatch: Add the Rust core" \
	git -C "$scratch/applied" -c user.name=x -c user.email=x@example.org am "${mails[@]}"
expect "series: git am makes the file" 0 "" cmp "$copy/kernel/livepatch/hooks.c" "$scratch/applied/kernel/livepatch/hooks.c"
expect "series: git am makes the change" 0 "" grep -q LIVEPATCH_RUST "$scratch/applied/kernel/livepatch/Kconfig"
mv "$patches" "$scratch/once"
rewritten PERL_HASH_SEED=2
expect "series: the same again" 0 "" diff -r "$scratch/once" "$patches"
results=$(dirname "$patches")/../results
printf 'commit: %s\nuserland: 61 passed, 0 failed\n' "$(git -C "$copy" rev-parse HEAD)" >"$results"
rewritten
in_series "test results" 0 "  userland: 61 passed, 0 failed" "0000-*"
in_series "test results of this state" 1 "(The test results are of an earlier state.)" "0000-*"
echo 'commit: 0123456789ab and changes to it' >"$results"
rewritten
in_series "test results of another state" 0 "(The test results are of an earlier state.)" "0000-*"
rewritten SIGNOFF=1 ASSISTED_BY="NOBODY sparse"
in_series "the tools are named" 0 "Assisted-by: NOBODY sparse" "0001-*"
in_series "the user signs off" 0 "Signed-off-by: Ada Author <ada@example.org>" "0001-*"

expect "series: nobody knows whose" 1 "git config --global user.email" written GIT_CONFIG_GLOBAL=/dev/null
expect "series: no number of a version" 1 "REROLL=two: not the number" written REROLL=two
expect "series: signed how" 1 "SIGNOFF=yes: not understood" written SIGNOFF=yes
expect "series: no such base" 1 "no such directory" written KDIR="$scratch/nowhere"
expect "series: a base of another version" 1 "is Linux 6.12.1" written KDIR="$scratch/other"
expect "series: a base that is not the newest" 1 "the series is for ${supported[0]}" \
	written KDIR="$scratch/older"
expect "series: no changelog" 1 "does not say what changed in v2" written REROLL=2
printf 'Changes in v2:\n- Better.\n' >>"$copy/series/changes"
rewritten REROLL=2
in_series "a changelog" 0 "- Better." "v2-0000-*"
expect "series: the second" 0 "Subject: [PATCH v2 01/" cat "$patches"/v2-0001-*
expect "series: no third" 1 "does not say what changed in v3" written REROLL=3

echo >>"$scratch/linux/README"
expect "series: a base with changes" 1 "changes that are not committed" written
linux checkout -q README
mkdir "$copy/lib"
echo >"$copy/lib/new.c"
expect "series: a file of no commit" 1 "lib/new.c belongs to no commit" written
for commit in 05-rules-states 17-core; do
	echo 'lib/*' >>"$copy/series/commits/$commit"
done
expect "series: a file of two commits" 1 "lib/new.c belongs to series/commits/05-rules-states and to series/commits/17-core" written
echo 'lib/new*' >>"$copy/series/commits/17-core"
expect "series: the longest pattern wins" 0 "patches and a cover letter" written
mv "$copy/lib/new.c" "$copy/lib/Kconfig"
echo 'lib/Kconfig' >>"$copy/series/commits/17-core"
expect "series: a file that is upstream's" 1 "lib/Kconfig is upstream's" written
rm -r "${copy:?}/lib"
cp "$copy/series/diffs/kernel/livepatch/Kconfig.diff" "$copy/series/diffs/kernel/livepatch/Kconfig@again.diff"
expect "series: a diff of no commit" 1 "Kconfig@again.diff belongs to no commit" written
rm "$copy/series/diffs/kernel/livepatch/Kconfig@again.diff"
echo 'series/diffs/tools/testing/selftests/livepatch/Makefile@rust.diff' >>"$copy/series/commits/05-rules-states"
expect "series: a diff before what it builds on" 1 "does not apply where series/commits/05-rules-states has it" written
sed -i '$d' "$copy/series/commits/05-rules-states"
touch "$(KDIR="$scratch/linux" LIVEPATCH_RUST_CACHE="$scratch/series-cache" "$copy/dev/tree.sh" 2>/dev/null)/kernel/stray.c"
expect "series: the tree has something else" 1 "kernel/stray.c" written
sed -i '/^Files:/d' "$copy/series/commits/05-rules-states"
expect "series: a commit without files" 1 "05-rules-states does not say which files" written
expect "checks of a series that nobody knows" 1 "taste: no such checks" "$repo/dev/series-check.sh" taste
