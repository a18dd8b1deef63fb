#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test the scripts themselves: their messages and their exit status after errors, and the
# unit tests of the Python scripts.  This needs the base, and builds nothing.  The last
# line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# expect NAME STATUS TEXT COMMAND...: COMMAND exits with STATUS and prints TEXT.
expect() {
	local name=$1 wanted=$2 text=$3 status=0 output
	shift 3
	output=$("$@" 2>&1 </dev/null) || status=$?
	if [ "$status" = "$wanted" ] && grep -qF -e "$text" <<<"$output"; then
		count 1 0
	else
		count 0 1
		printf 'not ok: %s: status %s, wanted %s and "%s"; it said:\n%s\n' \
			"$name" "$status" "$wanted" "$text" "$output"
	fi
}

base=$("$repo/dev/lib/base.sh")

# Every command has its script, and its line in make help.
targets=$(sed -n 's/^\([a-z-]*\):.*/\1/p' "$repo/Makefile" | sort)
expect "dev/NAME.sh is there exactly if make NAME is" 0 "" \
	diff <(printf '%s\n' "$targets") <(cd "$repo/dev" && printf '%s\n' *.sh | sed 's/\.sh$//' | sort)
expect "make help has all commands, and no others" 0 "" \
	diff <(grep -vx help <<<"$targets") <("$repo/dev/help.sh" | sed -n 's/^make \([a-z-]*\).*/\1/p' | sort)

# A copy of this repository, to break.
copy=$scratch/repo
mkdir "$copy"
cp -a "$repo/dev" "$repo/kernel" "$repo/rust" "$repo/series" "$repo/Makefile" "$copy/"

mkdir "$scratch"/{none,older,other}
printf 'VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 1\n' >"$scratch/other/Makefile"
printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = 1\n' "${supported[-1]%.*}" "${supported[-1]#*.}" >"$scratch/older/Makefile"
expect "KDIR that is not there" 1 "no such directory" env KDIR="$scratch/nowhere" "$repo/dev/lib/base.sh"
expect "KDIR without a kernel" 1 "not a Linux source tree" env KDIR="$scratch/none" "$repo/dev/lib/base.sh"
expect "KDIR of another version" 1 "is Linux 6.12.1; supported: ${supported[0]}.x" \
	env KDIR="$scratch/other" "$repo/dev/lib/base.sh"
expect "KDIR of this version" 0 "$base" env KDIR="$base" "$repo/dev/lib/base.sh"

# The later parts use what the earlier ones have made.
for part in counter differences machine arguments compose series judges; do
	# shellcheck source=/dev/null
	. "$repo/dev/test/scripts/$part.sh"
done

totals
