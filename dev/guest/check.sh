# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The notation that dev/lib/judge.sh reads, for scripts in a machine.  They source this file.

# check NAME COMMAND...: one test.
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		echo "TEST: $name ... ok"
	else
		echo "TEST: $name ... not ok"
		printf '  failed: %s\n%s\n' "$*" "$output"
	fi
}
