#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# README.md shows the results of make bench, make matrix and of the runs that take long,
# and the names of the differences between the cores, each between two comments.
#
#   dev/lib/figures.sh            prints the lines that differ
#   dev/lib/figures.sh --write    updates README.md

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"

end='<!-- to here -->'
readme=$repo/README.md
summary=$repo/$figures/summary.md
[ -f "$summary" ] || die "there are no figures" "make bench"

# matrix: print the kernels of dev/config/matrix as a table, with the results in
# series/matrix.
matrix() {
	local config name row
	printf '| kernel | | passed, failed | day | commit |\n|---|---|---|---|---|\n'
	for config in "$repo"/dev/config/matrix/*.config; do
		name=$(basename "$config" .config)
		row=$(grep "^$name|" "$repo/series/matrix" 2>/dev/null) || row="$name|$(sed -n '1s/^# //p' "$config")|has not run||"
		echo "| $row |" | sed 's/|/ | /g; s/^ | */| /; s/ *| *$/ |/; s/  */ /g'
	done
}

# runs: print series/runs as a table, without the events of torture, which are many.
runs() {
	local command result day commit
	printf '| command | result | day | commit |\n|---|---|---|---|\n'
	while IFS='|' read -r command result day commit; do
		result=${result%%; load *}
		printf '| `%s` | %s | %s | %s |\n' "$command" "${result:-has not run}" "$day" "$commit"
	done <"$repo/series/runs" | sed 's/  */ /g'
}

# differences: print the names of the differences between the cores.
differences() {
	sed -n 's/^- ``\([a-z-]*\)``: .*/`\1`/p' "$repo/Documentation/livepatch/rust-core-differences.rst" |
		paste -sd , | sed 's/,/, /g; s/$/./' | fold -s -w 100 | sed 's/ $//'
}

# between TITLE COMMAND: copy README from standard input to standard output, with the
# output of COMMAND between the comments of that title.
between() {
	local begin="<!-- $1 from here -->" new
	new=$("${@:2}")
	grep -qxF -e "$begin" "$readme" || die "README.md lacks the line before a table" "the line is: $begin"
	BEGIN=$begin END=$end NEW=$new awk '
		$0 == ENVIRON["END"] { skip = 0 }
		!skip { print }
		$0 == ENVIRON["BEGIN"] { skip = 1; print ENVIRON["NEW"] }'
}

wanted=$(between "make bench writes" cat "$summary" <"$readme" | between "make matrix writes" matrix |
	between "long runs write" runs | between "the list of differences writes" differences)
case ${1:-} in
'') diff <(printf '%s\n' "$wanted") "$readme" | sed 's/^/README.md: /' ;;
--write) printf '%s\n' "$wanted" >"$readme.new" && mv "$readme.new" "$readme" ;;
*) die "$1: not understood" "dev/lib/figures.sh [--write]" ;;
esac
