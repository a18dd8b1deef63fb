#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Let upstream's scripts/livepatch/klp-build, unmodified, turn the source patches in
# dev/klp-build/ into one livepatch for the kernel that CORE and DEBUG select, and use
# that livepatch in this kernel.  Each check is one test; the last line is
# "N passed, N failed".
#
# klp-build works only in a source tree that is built in place, and builds it twice.  So
# it gets a copy of the composed tree.  While that copy does not change, klp-build builds
# only the files that the patches change.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
native_only

"$repo/dev/toolchain.sh" klp-build
out=$("$repo/dev/kernel.sh")
take_turns "$(work_dir)"
work=$(build_dir klp-build)
tree=$work/tree
module=$work/klp-build-test.ko
output=$work/output
mkdir -p "$tree" "$work/log"
set_kmake

# klp-build keeps the original kernel.  That kernel is current unless one of the checks
# below finds a change of the sources, or this script is interrupted.
made=$work/original-is-current
current=1
[ -f "$made" ] || current=
rm -f "$made"

say "bringing klp-build's tree up to date"
(cd "$(tree_dir)" && find . ! -type d ! -name '*.pyc' -printf '%P\n' | sort) >"$work/sources.new"
{
	# Do not use --times: make must see that klp-build has patched and reverted a file.
	rsync -l --perms --checksum --itemize-changes --files-from="$work/sources.new" "$(tree_dir)/" "$tree/"
	if [ -f "$work/sources" ]; then
		comm -23 "$work/sources" "$work/sources.new" | while IFS= read -r file; do
			rm -fv "$tree/${file:?}"
		done
	fi
	cmp -s "$out/.config" "$tree/.config" || cp -v "$out/.config" "$tree/.config"
} >"$work/changes"
[ ! -s "$work/changes" ] || current=
mv "$work/sources.new" "$work/sources"

# klp-build refuses an objtool that was built without libxxhash-dev.
if [[ $("$tree/tools/objtool/objtool" klp 2>&1) == *"not implemented"* ]]; then
	run_logged "cleaning objtool" "$work/log/objtool" "${kmake[@]}" -C "$tree" objtool_clean
fi

# klp-build calls make itself: the tool chain is in its environment.
variables=()
for variable in "${kmake[@]}"; do
	case $variable in *=*) variables+=("$variable") ;; esac
done
klp_build() {
	cd "$tree" && MAKEFLAGS="${variables[*]}" scripts/livepatch/klp-build --keep-tmp \
		--short-circuit="$1" --output="$module" "$repo"/dev/klp-build/*.patch
}
if [ -n "$current" ] && [ -f "$tree/klp-tmp/1-orig/.complete" ]; then
	what="klp-build, what the patches change (2 min)" step=patched
else
	what="klp-build, from nothing (about 10 min on 2 cores)" step=orig
	rm -rf "$tree/klp-tmp"
	mkdir "$tree/klp-tmp"
fi
rm -f "$module"
built=1
(run_logged "$what" "$work/log/klp-build" klp_build "$step") || built=
[ ! -f "$tree/klp-tmp/1-orig/.complete" ] || touch "$made"
if [ -z "$built" ]; then
	echo "not ok: klp-build makes a livepatch of source patches"
	count 0 1
	totals || exit 1
fi

# check NAME COMMAND...: one test.
check() {
	local name=$1
	shift
	if "$@"; then
		echo "TEST: $name ... ok"
	else
		echo "TEST: $name ... not ok"
	fi
}
readelf -SW "$module" >"$work/sections"
readelf -sW "$module" >"$work/symbols"
{
	echo "# klp-build.sh"
	check "klp-build makes a livepatch of source patches" test -s "$module"
	# Without relocations, the checks in the machine would prove nothing.
	for object in vmlinux kobject_example; do
		check "the livepatch has relocations for $object" grep -q " \.klp\.rela\.$object\." "$work/sections"
	done
	for symbol in vmlinux.saved_command_line,0 vmlinux.saved_command_line_len,0 vmlinux.num_to_str,0 \
		'vmlinux.dev_attr_type,[2-9]' kobject_example.foo,0 kobject_example.baz,0; do
		check "the livepatch refers to $symbol" grep -q " \.klp\.sym\.${symbol//./\\.}$" "$work/symbols"
	done
	echo "# klp-build.sh: exit status 0"
	DMESG=$work/dmesg guest test-klp-build.sh "$module"
} 2>&1 | tee "$output"
"$repo/dev/lib/judge.sh" "$output" "$work/dmesg"
