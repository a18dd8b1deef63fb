#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Turn source patches into one livepatch of the kernel that CORE and DEBUG select, by
# upstream's klp-build, unmodified, and let klpctl check it in that kernel.  With KERNEL, it
# is for a machine that runs a kernel of make package-kernel.  The last line is the
# module's path.
#
#   dev/livepatch.sh    PATCH='fix.diff other.diff'  the patches, in their order
#                       NAME=livepatch-fix           the name of the module
#                       REPLACE=1|0                  whether it replaces all other livepatches
#                       KERNEL=release               the output of uname -r on the machine
#                       LOAD=1                       load it, show the effect, and unload it
#                       SHOW='cat /proc/cmdline'     the effect: a command that runs before,
#                                                    while and after it is loaded

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/patches.sh
. "$repo/dev/lib/patches.sh"
native_only

read -ra patches <<<"${PATCH:-}"
[ ${#patches[@]} -gt 0 ] || die "PATCH is empty: it names the source patches" "make livepatch PATCH=fix.diff"
for setting in LOAD=${LOAD:=0} REPLACE=${REPLACE:=1}; do
	case ${setting#*=} in 0 | 1) ;; *) die "$setting: not understood" "use 1 or 0" ;; esac
done
[ -z "${KERNEL:-}" ] || [ "$LOAD" = 0 ] ||
	die "LOAD=1 is for the kernel in QEMU, and KERNEL=$KERNEL for another machine" "there, use: klpctl load"
first=$(basename "${patches[0]}")
: "${NAME:=livepatch-${first%.*}}"
# The kernel's array for a module's name has 56 bytes.
[[ "$NAME" =~ ^[a-zA-Z0-9_-]{1,55}$ ]] ||
	die "NAME=$NAME: no name of a module" "use letters, digits, - and _, and at most 55 of them"

# refuse FILE PATCH: if no livepatch can change FILE, say why.
refuse() {
	case $1 in
	*Kconfig* | *Makefile* | *Kbuild | *.config)
		die "$2 changes $1: a livepatch has functions, and cannot change how the kernel is built" \
			"leave this part out of the patch" ;;
	*.S | *.lds | *.lds.h)
		die "$2 changes $1: ftrace reaches no functions in assembly" ;;
	*/vdso/* | */realmode/rm/*)
		die "$2 changes $1: its code runs outside of the kernel" ;;
	lib/*)
		die "$2 changes $1: klp-build does not take patches to lib/" \
			"much of it is linked only as far as it is used; patch the callers instead" ;;
	*.rs)
		die "$2 changes $1: on x86, ftrace does not reach functions in Rust" ;;
	esac
}

tree=$("$repo/dev/tree.sh")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sources=()
headers=()
in_kernel=
after=
for patch in "${patches[@]}"; do
	[ -f "$patch" ] || die "PATCH names $patch, which is no file"
	mapfile -t changed < <(files_of "$patch")
	[ ${#changed[@]} -gt 0 ] || die "$patch changes no file: it is no patch" "wanted: a unified diff, with a/ and b/ before the paths"
	for file in "${changed[@]}"; do
		[ "$file" != dev/null ] || continue
		# Nothing there is built into the kernel, so fixes may bring a selftest with them.
		if [[ ! "$file" =~ ^(Documentation|tools)/ ]]; then
			in_kernel=1
			refuse "$file" "$patch"
			[[ "$file" != *.c ]] || sources+=("$file")
			[[ "$file" != *.h ]] || headers+=("$file")
		fi
	done
	said=$(apply_patch "$scratch" "$patch") ||
		die "$patch does not apply to Linux $(kernel_version "$tree")$after" "$said"
	# It applies where the lines look alike, which may be the wrong place.
	if grep -qE 'fuzz|offset' <<<"$said"; then
		say "$patch was not made for Linux $(kernel_version "$tree")$after; see that it changes the right lines:"
		grep -E '^patching|fuzz|offset' <<<"$said" >&2
	fi
	after=" with the patches before it"
done
[ -n "$in_kernel" ] || die "nothing of the kernel is changed: $PATCH" \
	"the patches change documentation or programs alone"
for file in ${headers[@]+"${headers[@]}"}; do
	say "the patches change $file, so that all functions that use it may be replaced.  If this" \
		"changes the layout of a structure, do not load the livepatch: old ones exist"
done
for file in ${sources[@]+"${sources[@]}"}; do
	[ -f "$tree/$file" ] || die "$file is new, and nothing builds it" \
		"a livepatch cannot change a Makefile; put its functions into a file that the kernel has"
	[ -f "$scratch/b/$file" ] || die "the patches remove $file" "a livepatch replaces functions, and removes none"
done

# shellcheck source=dev/lib/klp-build.sh
. "$repo/dev/lib/klp-build.sh"
klp_prepare
# is_included FILE: another file of its directory includes it, as those of kernel/sched/ do.
is_included() {
	grep -qsF "/$1 " "$kernel_out/$(dirname "$1")"/.*.o.cmd
}
for file in "${sources[@]}"; do
	[ -f "$kernel_out/${file%.c}.o" ] || is_included "$file" ||
		die "$file is not in this kernel: its configuration leaves it out" "the configuration: $kernel_out/.config"
done

# hints LOG: explain an error of klp-build.
hints() {
	local pattern hint
	while IFS='|' read -r pattern hint; do
		! grep -q "$pattern" "$1" || printf '  %s\n' "$hint" >&2
	done <<'hints'
no changes detected|The compiled code is the same.  Does the patch change comments, or code that the configuration leaves out?
changed data|The patch changes the value with which a variable begins.  The variable lives: set it in a callback of the livepatch.
unsupported static branch key|A static branch cannot be patched.  Use static_key_enabled() in the patch instead.
unsupported static call key|A static call cannot be patched.  Use KLP_STATIC_CALL() in the patch instead.
undeclared module dependency|The new code calls a function of a module that the old one does not depend on.
unexpected klp reloc for new symbol|The new code of a module uses a symbol of vmlinux or of another module that is not exported.  Use one that is exported, or that the old code uses.
reference init code|The patch changes or uses __init code, which has run and is gone.  Correct its result in a callback.
kernel build failed|The patch does not compile.  The compiler's words are in the log.
hints
}
modules=$klp_work/modules
mkdir -p "$modules"
module=$modules/$NAME.ko
arguments=()
[ "$REPLACE" = 1 ] || arguments+=(--no-replace)
joined_patch "$scratch" >"$klp_work/$NAME.patch"
klp_build "$module" ${arguments[@]+"${arguments[@]}"} "$klp_work/$NAME.patch" || {
	hints "$klp_work/log/klp-build"
	exit 1
}
[ "$(modinfo -F livepatch "$module")" = Y ] || die "$module is not marked as a livepatch"

# defects: print the CVEs that the messages above the patches name.
defects() {
	sed -s '/^\(diff \|--- \)/,/^-- $/d' "${patches[@]}" | grep -oE 'CVE-[0-9]{4}-[0-9]{4,}' | sort -u | xargs
}
# shellcheck source=dev/lib/modules.sh
. "$repo/dev/lib/modules.sh"
# objects: print the modules of the files that the patches change, and those that the
# livepatch has relocations for.  A function may refer to nothing of its module, and may come
# from a header.
objects() {
	local file
	for file in "${sources[@]}"; do
		sed -nE 's/^savedcmd_.* -DMODULE .* -D__KBUILD_MODNAME=([A-Za-z0-9_]+).*/\1/p' \
			"$kernel_out/$(dirname "$file")/.$(basename "${file%.c}").o.cmd" 2>/dev/null || true
	done
	relocated_objects "$module"
}
# targets: print MODULE:SRCVERSION for each module that the livepatch changes, if the
# configuration has these versions.
targets() {
	local object file version
	objects | sort -u | while IFS= read -r object; do
		file=$(built_module "$kernel_out" "$object") || continue
		version=$(modinfo -F srcversion "$file")
		[ -z "$version" ] || echo "$object:$version"
	done | xargs
}
# klpctl shows the first, and compares the second with the modules of the machine.
fields=()
defects=$(defects) targets=$(targets)
[ -z "$defects" ] || fields+=(--modinfo "klp_fixes=$defects")
[ -z "$targets" ] || fields+=(--modinfo "klp_target=$targets")
if [ ${#fields[@]} -gt 0 ]; then
	"$repo/dev/lib/edit-module.py" "$module" "$module.new" "${fields[@]}"
	mv "$module.new" "$module"
fi

if [ -n "${KERNEL:-}" ]; then
	if grep -qx CONFIG_MODULE_SIG=y "$kernel_out/.config" && [ -f "$kernel_out/certs/signing_key.pem" ]; then
		hash=$(sed -n 's/^CONFIG_MODULE_SIG_HASH="\(.*\)"/\1/p' "$kernel_out/.config")
		"$kernel_out/scripts/sign-file" "$hash" "$kernel_out"/certs/signing_key.{pem,x509} "$module" ||
			die "$module cannot be signed" "the key: $kernel_out/certs/signing_key.pem"
	fi
	# Another build of the same release may be installed there: dpkg -l shows the version.
	say "on a machine with $(basename "${kernel_out%/build}"/linux-image-*.deb):" \
		"klpctl check $(basename "$module"); klpctl load $(basename "$module")"
	printf '%s\n' "$module"
	exit
fi

say "checking it in the machine"
status=0
DMESG=$klp_work/dmesg guest livepatch.sh "$module" "$LOAD" "${SHOW:-}" >"$klp_work/output" || status=$?
grep -v '^# livepatch.sh' "$klp_work/output" || true
grep -qx '# livepatch.sh: exit status 0' "$klp_work/output" || die "the livepatch is not usable, for the reason above" "the kernel's log: $klp_work/dmesg"
printf '%s\n' "$module"
