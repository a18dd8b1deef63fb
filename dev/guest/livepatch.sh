#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check a livepatch inside the virtual machine, and load it.  Exits with status 1 if the
# check or the kernel refuses it.
#
#   dev/guest/livepatch.sh MODULE LOAD SHOW    see dev/livepatch.sh

# shellcheck source=dev/lib/modules.sh
. dev/lib/modules.sh

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

# load_module NAME: load a module of this kernel, after those that it depends on.
load_module() {
	local file needed
	[ ! -e "/sys/module/${1//-/_}" ] || return 0
	file=$(built_module "$KBUILD" "$1") || {
		echo "the livepatch changes module $1, which is not in $KBUILD"
		exit 1
	}
	for needed in $(modinfo -F depends "$file" | tr ',' ' '); do
		load_module "$needed"
	done
	run insmod "$file"
}

# Load the modules that it patches: those of its functions, and those that its relocations
# name.
targets=$({
	relocated_objects "$module"
	"$klpctl" check --json "$module" | grep -oE '"object": ?"[^"]+"' | cut -d '"' -f 4
} | sort -u | grep -vx vmlinux)
for target in $targets; do
	load_module "$target"
done
run "$klpctl" check "$module"
[ "$load" = 1 ] || exit 0

effect before
run "$klpctl" load --timeout 5m "$module"
run "$klpctl" list "$name"
effect "while it is loaded"
run "$klpctl" unload "$name"
effect after
