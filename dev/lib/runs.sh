# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # lib.sh sets repo and cache, and counts passed and failed
#
# Results that the repository keeps, for the scripts of runs that take long.  They source
# this file after lib.sh, before the run.  A file of results has one in a line, with
# KEY|RESULT|DAY|COMMIT.  README.md shows them.
#
# series/runs lists the runs that a release needs: there, the key is the command.

runs=$repo/series/runs
# Results change the sources.  So take the commit that is tested before that.
tested=$(commit_id)

# keep FILE KEY RESULT: put a result in the place of the earlier one, or at the end.  Two runs may
# end at the same time.
keep() {
	local lock
	exec {lock}>"$cache/results.lock"
	flock "$lock"
	touch "$1"
	KEY=$2 ROW="$2|$3|$(date +%F)|$tested" awk '
		index($0, ENVIRON["KEY"] "|") == 1 { $0 = ENVIRON["ROW"]; found = 1 }
		{ print }
		END { if (!found) print ENVIRON["ROW"] }' "$1" >"$1.new"
	mv "$1.new" "$1"
	"$repo/dev/lib/figures.sh" --write
	exec {lock}>&-
}

# keep_run COMMAND [DETAIL]: if series/runs lists the command, keep its result: the counts
# of lib.sh, and the detail.  No run of the list has another base.
keep_run() {
	! cut -d '|' -f 1 "$runs" | grep -xF -e "$1$(unusual BASE= KDIR=)" >/dev/null ||
		keep "$runs" "$1" "$passed passed, $failed failed${2:+; $2}"
}

# unusual NAME=DEFAULT...: print " NAME=VALUE" for each setting that differs from its
# default.  The command of a run has these at its end, so that keep_run keeps no other run
# in the place of the one that the list means.
unusual() {
	local setting name
	for setting in "$@"; do
		name=${setting%%=*}
		[ "${!name:-}" = "${setting#*=}" ] || printf ' %s=%s' "$name" "${!name:-}"
	done
}

# judge_run OUTPUT DMESG: count the verdict of judge.sh, and print the reasons for it.
judge_run() {
	local verdict
	verdict=$("$repo/dev/lib/judge.sh" "$1" "$2") || true
	count_suite <(printf '%s\n' "$verdict") || count 0 1
	sed '$d' <<<"$verdict"
}
