# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # lib.sh sets repo, and kmake
#
# Run upstream's scripts/livepatch/klp-build, unmodified, on the kernel that CORE and DEBUG
# select, or on the packaged kernel that KERNEL names.  The scripts that make livepatches of
# source patches source this file after lib.sh.
#
# klp-build works only in a source tree that is built in place, and builds it twice.  So
# it gets a copy of the composed tree.  While that copy does not change, klp-build builds
# only the files that the patches change.

klp_work=$(build_dir "klp-build${KERNEL:+-$KERNEL}")
klp_tree=$klp_work/tree

# packaged_releases: print the release and the build directory of each kernel that make
# package-kernel has made.
packaged_releases() {
	local file
	for file in "$(build_dir package)"/*/build/include/config/kernel.release; do
		[ ! -f "$file" ] || printf '%s %s\n' "$(<"$file")" "${file%/include/*}"
	done
}

# find_packaged: set kernel_out to the build of the packaged kernel that KERNEL names.
find_packaged() {
	kernel_out=$(packaged_releases | sed -n "s|^${KERNEL//./\\.} ||p" | head -n 1)
	[ -f "$kernel_out/vmlinux" ] ||
		die "KERNEL=$KERNEL: make package-kernel has made no such kernel here" \
			"there are: $(packaged_releases | sed 's/ .*//' | xargs)"
	# A livepatch of other source would not fit it.
	[ "$(cat "${kernel_out%/build}/sources" 2>/dev/null)" = "$(source_id)" ] ||
		die "the source has changed since the packages of $KERNEL were made, or these are not finished" \
			"make the packages from the commit that you installed, or make and install new ones"
}

# klp_prepare: build the kernel, bring the copy up to date, and set kernel_out to the
# kernel's build directory.
klp_prepare() {
	[ -z "${KERNEL:-}" ] || find_packaged
	"$repo/dev/toolchain.sh" klp-build
	mkdir -p "$klp_tree" "$klp_work/log"
	set_kmake
	[ -n "${KERNEL:-}" ] || kernel_out=$("$repo/dev/kernel.sh")
	take_turns "$(work_dir)"

	# klp-build keeps the original kernel.  That kernel is current unless one of the checks
	# below finds a change of the sources, or this script is interrupted.
	klp_made=$klp_work/original-is-current
	klp_current=1
	[ -f "$klp_made" ] || klp_current=
	rm -f "$klp_made"

	say "bringing klp-build's tree up to date"
	(cd "$(tree_dir)" && find . ! -type d ! -name '*.pyc' -printf '%P\n' | sort) >"$klp_work/sources.new"
	{
		# Do not use --times: make must see that klp-build has patched and reverted a file.
		rsync -l --perms --checksum --itemize-changes --files-from="$klp_work/sources.new" "$(tree_dir)/" "$klp_tree/"
		if [ -f "$klp_work/sources" ]; then
			comm -23 "$klp_work/sources" "$klp_work/sources.new" | while IFS= read -r file; do
				rm -fv "$klp_tree/${file:?}"
			done
		fi
		cmp -s "$kernel_out/.config" "$klp_tree/.config" || cp -v "$kernel_out/.config" "$klp_tree/.config"
	} >"$klp_work/changes"
	[ ! -s "$klp_work/changes" ] || klp_current=
	mv "$klp_work/sources.new" "$klp_work/sources"

	renew_objtool "$klp_tree"
}

# klp_run COMMAND...: run a command in klp-build's tree.
klp_run() (
	local variable variables=()
	# klp-build calls make itself: the tool chain is in its environment.
	for variable in "${kmake[@]}"; do
		case $variable in *=*) variables+=("$variable") ;; esac
	done
	cd "$klp_tree" || exit 1
	MAKEFLAGS="${variables[*]}" "$@"
)

# klp_build MODULE ARGUMENT...: make MODULE, with options and patches for klp-build.  Call
# klp_prepare first.  The output is in $klp_work/log/klp-build.
klp_build() {
	local module=$1 what step status=0
	shift
	if [ -n "$klp_current" ] && [ -f "$klp_tree/klp-tmp/1-orig/.complete" ]; then
		what="klp-build, what the patches change (2 min)" step=patched
	else
		what="klp-build, from nothing (about 10 min on 2 cores)" step=orig
		[ -z "${KERNEL:-}" ] || what="klp-build, from nothing (as long as the packages took)"
		rm -rf "$klp_tree/klp-tmp"
		mkdir "$klp_tree/klp-tmp"
	fi
	rm -f "$module"
	klp_run run_logged "$what" "$klp_work/log/klp-build" \
		scripts/livepatch/klp-build --keep-tmp --short-circuit="$step" --output="$module" "$@" || status=1
	if [ -f "$klp_tree/klp-tmp/1-orig/.complete" ]; then
		touch "$klp_made"
		klp_current=1
	fi
	return "$status"
}
