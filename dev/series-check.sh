#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the tools of the series' recipients on it.  Each check is a test; the last line
# is "N passed, N failed".
#
#   dev/series-check.sh         all; BISECT=1 builds every commit, by default the
#                               last and those that change a Kconfig file
#   dev/series-check.sh mails   the checks that take no build
#   dev/series-check.sh builds  the builds alone

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

case ${1:-all} in all | mails | builds) ;; *) die "$1: no such checks" "dev/series-check.sh [mails|builds]" ;; esac
case ${BISECT:-0} in 0 | 1) ;; *) die "BISECT=$BISECT: not understood" "use BISECT=1 or leave it unset" ;; esac
"$repo/dev/toolchain.sh" series
checks=$(work_dir)/series/log
mkdir -p "$checks"

patches=$("$repo/dev/series.sh" | tail -n 1)
# Writing and proving the series is one test.
count 1 0
series=$(work_dir)/series
tree=$(tree_dir)
mapfile -t mails < <(find "$patches" -name '*.patch' ! -name '*0000-cover-letter.patch' | sort)

# The check "maintainers" replaces the warning that MAINTAINERS may need updating.
# machine.h defines the kernel's own macros, reduced to the parts that the core needs.
checkpatch() {
	local ignore=FILE_PATH_CHANGES
	[ "${SIGNOFF:-0}" = 1 ] || ignore+=,MISSING_SIGN_OFF
	# Without a history, checkpatch cannot know the commits that a patch names.
	is_clone "$("$repo/dev/lib/base.sh")" || ignore+=,UNKNOWN_COMMIT_ID
	(cd "$tree" && scripts/checkpatch.pl --strict --terse --showfile --no-summary \
		--ignore "$ignore" "$1") | grep -v '^tools/testing/livepatch/versus/include/machine\.h:' || true
}
maintainers() {
	local what place names
	while read -r what place; do
		[ "$what" = new ] || continue
		names=$(cd "$tree" && scripts/get_maintainer.pl --nogit --nogit-fallback --nokeywords --norolestats \
			--nol --nor --sections -f "$place")
		grep -q '^LIVE PATCHING' <<<"$names" || echo "nobody maintains $place, say the entries of MAINTAINERS"
	done <"$series/places"
}
# Each new file is in the index or the Makefile of its directory.
reachable() {
	local file name selftests=tools/testing/selftests/livepatch
	while IFS= read -r -d '' file; do
		name=$(basename "$file")
		case $file in
		Documentation/livepatch/*.rst)
			grep -qx " *${name%.rst}" "$tree/Documentation/livepatch/index.rst" ||
				echo "$file is not in the directory's index.rst"
			;;
		"$selftests"/test_modules/*.c | "$selftests"/test_modules/*.rs)
			grep -qw "${name%.*}\.o" "$tree/$selftests/test_modules/Makefile" ||
				echo "$file is not in the directory's Makefile"
			;;
		"$selftests"/*.sh)
			grep -qw "$name" "$tree/$selftests/Makefile" || echo "$file is not in the directory's Makefile"
			;;
		samples/livepatch/*.rs)
			grep -qw "${name%.rs}\.o" "$tree/samples/livepatch/Makefile" ||
				echo "$file is not in the directory's Makefile"
			;;
		esac
	done < <(in_tree_files)
}
# sizes: a reviewer can read each patch at once.  The limit is for kernel code, without
# tests, comments and blank lines.
sizes() {
	local mail lines
	[ "${#mails[@]}" -le 25 ] || echo "the series has ${#mails[@]} patches, more than 25: join some"
	for mail in "${mails[@]}"; do
		lines=$(awk '
			/^\+\+\+ b\// { code = $2 ~ /^b\/(arch|include|kernel|lib|rust|scripts)\// && $2 !~ /\/tests\/|kunit/; next }
			code && /^\+/ && !/^\+[ \t]*($|\/\/|\/?\*)/ { lines++ }
			END { print lines + 0 }' "$mail")
		[ "$lines" -le 1200 ] || echo "$(basename "$mail") adds $lines lines of code, more than 1200: split it"
	done
}
sending() {
	local said count
	said=$(git send-email --dry-run --confirm=never --smtp-server=/bin/true \
		"$patches"/*.patch 2>&1 </dev/null) || { printf '%s\n' "$said"; return 1; }
	count=$(grep -c '^Result: OK' <<<"$said")
	[ "$count" = $((${#mails[@]} + 1)) ] || printf '%s\n' "$said"
	grep -q '^To: .*live-patching@\|^Cc: .*live-patching@\|^[[:space:]].*live-patching@' <<<"$said" ||
		echo "the mailing list gets none"
}

# taken_over: b4 finds the series on a branch, and makes the same patches of it.
taken_over() {
	local there=$series/b4 config
	rm -rf "$there" "$there.mails" "$there.home"
	mkdir "$there.home"
	config=(GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=Nobody
		GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=nobody@example.org)
	git -C "$series/git" worktree prune &&
		git -C "$series/git" branch -C series b4/check &&
		git -C "$series/git" worktree add -q --no-checkout "$there" b4/check &&
		git -C "$there" sparse-checkout set --no-cone /MAINTAINERS &&
		git -C "$there" checkout -q &&
		(cd "$there" && quietly env HOME="$there.home" "${config[@]}" b4 prep --format-patch "$there.mails") || return 1
	diff <(cat "${mails[@]}" | git patch-id --stable | cut -d ' ' -f 1) \
		<(cat "$there.mails"/*.patch | git patch-id --stable | cut -d ' ' -f 1)
	diff <(grep '^change-id: ' "$patches/0000-cover-letter.patch") <(cat "$there.mails"/0000-* | grep '^change-id: ')
}

mails() {
	local mail
	for mail in "${mails[@]}"; do
		check "checkpatch $(basename "$mail")" checkpatch "$mail"
	done
	check "maintainers" maintainers
	check "reachable" reachable
	check "sizes" sizes
	check "sending" sending
	check "taken over by b4" taken_over
}

# ---- lints, of the tree that the series makes

style() {
	"$repo/dev/style.sh" | tee "$checks/style" | grep -v ' passed, ' || true
	count_suite "$checks/style" || count 0 1
}

# ---- builds, of the commits that git am has made

source=$series/source

# built CORE: build the commit that is checked out: kernel, modules, selftests, tools.
built() {
	local core=$1 out fragments test=tools/testing
	out=$(build_dir "series-$core")
	mkdir -p "$out/log"
	mapfile -t fragments < <(arch_fragments "$core")
	cat "${fragments[@]}" "$repo/dev/config/style.config" >"$out/wanted"
	"${kmake[@]}" -C "$source" O="$out" KCONFIG_ALLCONFIG="$out/wanted" allnoconfig &&
		"${kmake[@]}" -C "$source" O="$out" || return 1
	grep -qx CONFIG_RUST=y "$out/.config" || return 1
	[ "$core" != rust ] || grep -qx CONFIG_LIVEPATCH_RUST=y "$out/.config" || return 1
	rsync -a --delete "$source/$test/selftests/livepatch/test_modules" "$out/" &&
		"${kmake[@]}" -C "$out/test_modules" KDIR="$out" || return 1
	if [ -d "$source/$test/livepatch/bench" ]; then
		rsync -a --delete "$source/$test/livepatch/bench" "$out/" &&
			"${kmake[@]}" -C "$out/bench" KDIR="$out" || return 1
	fi
	if [ -d "$source/tools/livepatch" ]; then
		mkdir -p "$out/klpctl"
		"${kmake[@]}" -C "$source/tools/livepatch" O="$out/klpctl"
	fi
}
# check_build CORE
check_build() {
	local name
	name="$(git -C "$source" log -1 --format=%s), CORE=$1"
	say "building: $name (log: $checks/output)"
	check "$name" quietly built "$1"
}
builds() {
	local commit commits
	set_kmake
	if [ ! -f "$source/.git" ]; then
		say "checking out the base (half a minute)"
		git -C "$series/git" worktree prune
		git -C "$series/git" worktree add -q --detach "$source" base
	fi
	mapfile -t commits < <(git -C "$source" rev-list --reverse base..applied)
	for commit in "${commits[@]}"; do
		if [ "${BISECT:-0}" = 0 ] && [ "$commit" != "${commits[-1]}" ] &&
			! git -C "$source" diff --name-only "$commit^" "$commit" | grep '\(^\|/\)Kconfig[^/]*$' >/dev/null; then
			continue
		fi
		git -C "$source" checkout -q -f --detach "$commit"
		check_build c
		! grep -q LIVEPATCH_RUST "$source/kernel/livepatch/Kconfig" || check_build rust
	done
}

case ${1:-all} in
all)
	mails
	style
	builds
	;;
*) "$1" ;;
esac
totals
