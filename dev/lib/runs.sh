# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # lib.sh sets repo, and counts passed and failed
#
# The results of the runs that take an hour and more, for the scripts that make them.
# They source this file after lib.sh, before the run.  series/runs lists those that a
# release needs, one in a line: COMMAND|RESULT|DAY|COMMIT.  README.md shows them.

runs=$repo/series/runs
# The tested commit is that from before the run.
tested=$(commit_id)

# keep_run COMMAND [DETAIL]: if series/runs lists the command, keep its result there:
# what lib.sh has counted, and the detail.
keep_run() {
	local command=$1 result="$passed passed, $failed failed${2:+; $2}"
	grep -qF "$command|" "$runs" || return 0
	COMMAND=$command ROW="$command|$result|$(date +%F)|$tested" awk -F'|' '
		$1 == ENVIRON["COMMAND"] { $0 = ENVIRON["ROW"] }
		{ print }' "$runs" >"$runs.new"
	mv "$runs.new" "$runs"
	"$repo/dev/lib/figures.sh" --write
}
