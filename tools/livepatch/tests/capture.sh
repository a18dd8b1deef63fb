#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make a tree for the tests of a report: tests/capture.sh klpctl-report >NAME.tree
#
# Of the tasks that a transition does not wait for, three are kept.

set -euo pipefail
cd "$1"

others=0
while IFS= read -r path; do
	case $path in
	./proc/[0-9]*)
		task=${path%/*}
		if [ ! -e "$task/stat" ]; then
			others=$((others + 1))
			[ "$others" -le 3 ] || continue
		fi
		;;
	./proc/version | ./proc/sys/* | *.json) continue ;;
	esac
	if [ -d "$path" ]; then
		# Folders that hold something are made for it.
		[ -n "$(ls -A "$path")" ] || printf '%s/\n' "${path#.}"
	else
		printf '%s\n' "${path#.}"
		sed 's/^/\t/' "$path"
		[ -z "$(tail -c 1 "$path")" ] || echo
	fi
done < <(find . -mindepth 1 | sort -V)
