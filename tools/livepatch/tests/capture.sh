#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make a tree for the tests of a report: tests/capture.sh klpctl-report >NAME.tree
#
# The tree has three of the tasks that a transition does not wait for.  Of the kernel log, it has
# the records about the report's patches, and the first record, which shows that the log is not
# cut.

set -euo pipefail
export LC_ALL=C
cd "$1"

# content FILE: print the content as lines of a tree.  A binary file becomes one line.
content() {
	if grep -qa '[^[:print:][:blank:]]' "$1"; then
		printf '\t'
		od -An -v -t x1 "$1" | tr -d '\n' | sed 's/ /\\x/g'
		echo
	else
		sed 's/\\/\\x5c/g; s/^/\t/' "$1"
		[ -z "$(tail -c 1 "$1")" ] || echo
	fi
}

# patches: print the names of the patches, loaded or disabled, in the notation of the log.
patches() {
	find sys/kernel/livepatch -mindepth 1 -maxdepth 1 -printf "'%f'\n"
	sed "s/ .*//; s/.*/'&'/" proc/modules
}

kept=$(mktemp)
trap 'rm "$kept"' EXIT
# The message about a forced transition does not name the patch.
{
	patches
	printf '%s\n' '^.[0-9]*,0,' 'livepatch: forcing' 'livepatch: signaling'
} >"$kept"

others=0
while IFS= read -r path; do
	case $path in
	./proc/[0-9]*)
		task=${path%/*}
		if [ -f "$path" ] && [ ! -e "$task/stat" ]; then
			others=$((others + 1))
			[ "$others" -le 3 ] || continue
		fi
		;;
	./proc/version | ./proc/sys/* | *.json) continue ;;
	esac
	if [ -d "$path" ]; then
		# A directory that is not empty needs no line: its files make it.
		[ -n "$(ls -A "$path")" ] || printf '%s/\n' "${path#.}"
	else
		printf '%s\n' "${path#.}"
		case $path in
		./dev/kmsg) content "$path" | grep -f "$kept" ;;
		*) content "$path" ;;
		esac
	fi
done < <(find . -mindepth 1 | sort -V)
