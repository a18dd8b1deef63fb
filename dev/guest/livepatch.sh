#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check a livepatch inside the virtual machine, and load it.  Exits with status 1 if the
# check or the kernel refuses it.
#
#   dev/guest/livepatch.sh MODULE LOAD SHOW    see dev/livepatch.sh

module=$1 load=$2 show=$3
klpctl=$KBUILD/selftests/livepatch/klpctl
name=$(basename "$module" .ko)
name=${name//-/_}

# run COMMAND...: show it and its output; exit if it fails.
run() {
	local words=("$@")
	words[0]=$(basename "$1")
	printf '# %s\n' "${words[*]}"
	"$@" || {
		echo "failed with status $?: ${words[*]}"
		exit 1
	}
}

# effect WHEN: run the command that shows what the livepatch changes.
effect() {
	[ -n "$show" ] || return 0
	printf '# %s: %s\n' "$1" "$show"
	bash -c "$show" || echo "(status $?)"
}

# Load the modules that it patches: klp-build names each in the relocations for it.
readelf -SW "$module" | sed -nE 's/.* \.klp\.rela\.([^.]+)\..*/\1/p' | sort -u | grep -vx vmlinux |
	while read -r target; do
		find "$KBUILD" -name "${target//[-_]/[-_]}.ko" | head -n 1
	done >/run/targets
while read -r target; do
	run insmod "$target"
done </run/targets
run "$klpctl" check "$module"
[ "$load" = 1 ] || exit 0

effect before
run "$klpctl" load "$module"
run "$klpctl" list "$name"
effect "while it is loaded"
run "$klpctl" unload "$name"
effect after
