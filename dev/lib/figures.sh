#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# README.md shows the figures that make bench has written, between two comments.
#
#   dev/lib/figures.sh            prints the lines that differ from them
#   dev/lib/figures.sh --write    brings README.md up to date

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"

begin='<!-- make bench writes from here -->' end='<!-- to here -->'
readme=$repo/README.md
summary=$repo/$figures/summary.md
for line in "$begin" "$end"; do
	grep -qxF -e "$line" "$readme" || die "README.md does not say where the figures go" "missing: $line"
done
[ -f "$summary" ] || die "there are no figures" "make bench"

wanted=$(awk -v begin="$begin" -v end="$end" -v summary="$summary" '
	$0 == end { skip = 0 }
	!skip { print }
	$0 == begin { skip = 1; while ((getline line < summary) > 0) print line }' "$readme")
case ${1:-} in
'') diff <(printf '%s\n' "$wanted") "$readme" | sed 's/^/README.md: /' ;;
--write) printf '%s\n' "$wanted" >"$readme.new" && mv "$readme.new" "$readme" ;;
*) die "$1: not understood" "dev/lib/figures.sh [--write]" ;;
esac
