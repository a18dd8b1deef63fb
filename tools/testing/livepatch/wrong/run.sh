#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check that wrong livepatches in Rust do not compile, and that right*.rs do:
#
#	KDIR=<the kernel's build directory> ./run.sh [MAKE ARGUMENT...]
#
# Each wrong file has parts of the compiler's message after //~.  The last line is
# "N passed, N failed".

here=$(cd "$(dirname "$0")" && pwd)
KDIR=${KDIR:-/lib/modules/$(uname -r)/build}
if [ ! -e "$KDIR/rust/libkernel.rmeta" ]; then
	echo "run.sh: $KDIR has no kernel crate; set KDIR to a kernel built with CONFIG_RUST" >&2
	exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

# bad NAME TEXT: count and report a file for which the compiler did something else.
bad() {
	failed=$((failed + 1))
	printf 'not ok: %s: %s\n' "$1" "$2"
	cat "$scratch/log"
}

for file in "$here"/*.rs; do
	name=$(basename "$file" .rs)
	if [ "$name" = right_symbols ] &&
		! grep -qsx CONFIG_OBJTOOL=y "$KDIR/include/config/auto.conf"; then
		echo "# left out: $name: the kernel is built without objtool"
		continue
	fi
	rm -rf "$scratch/module"
	mkdir "$scratch/module"
	cp "$file" "$scratch/module"
	echo "obj-m := $name.o" >"$scratch/module/Kbuild"
	status=0
	make -C "$KDIR" M="$scratch/module" "$@" "$name.o" >"$scratch/log" 2>&1 </dev/null ||
		status=$?
	missing=
	while IFS= read -r text; do
		grep -qF -e "$text" "$scratch/log" || missing=$text
	done < <(sed -n 's,^//~ ,,p' "$file")
	if [[ "$name" == right* ]]; then
		[ "$status" = 0 ] || {
			bad "$name" "it must compile"
			continue
		}
	elif [ "$status" = 0 ]; then
		bad "$name" "it must not compile"
		continue
	elif [ -n "$missing" ] || ! grep -q '^//~ ' "$file"; then
		bad "$name" "the compiler does not say: $missing"
		continue
	fi
	passed=$((passed + 1))
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
