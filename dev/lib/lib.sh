# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # its variables are for the scripts that source it
#
# The scripts in dev/ that run on the host source this file, but for help.sh.  It knows
# the directories, writes progress and errors, and finds the compilers.

set -euo pipefail

# The scripts pass the kernel's make all that it needs.  O= and other variables that were
# given to the Makefile here have another meaning there.
unset MAKEFLAGS MFLAGS MAKELEVEL

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${LIVEPATCH_RUST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/livepatch-rust}
tools=$cache/tools
venv=$tools/venv

# The kernel series to which the diffs under series/ apply, the newest first.  BASE=
# selects one.  Without it, the scripts take the newest that has a package.  Mails are
# written for the newest alone.
supported=(7.3 7.2)

# say TEXT...: print a line of progress with the elapsed time to standard error.
say() {
	printf '[%3d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2
}

# die TEXT HINT...: print the error, with its input, and hints about its correction; exit
# with status 1.
die() {
	printf '%s: error: %s\n' "$(basename "$0")" "$1" >&2
	shift
	[ $# -eq 0 ] || printf '  %s\n' "$@" >&2
	exit 1
}

# The kernel to build: its core, and whether it has the kernel's own checks.
: "${CORE:=rust}" "${DEBUG:=1}"
case $CORE in rust | c) ;; *) die "CORE=$CORE: no such core" "use CORE=rust or CORE=c" ;; esac
case " ${supported[*]} " in
*" ${BASE:-${supported[0]}} "*) ;;
*) die "BASE=$BASE: no such base" "use one of: ${supported[*]}" ;;
esac
case $DEBUG in 0 | 1) ;; *) die "DEBUG=$DEBUG: not understood" "use DEBUG=1 or DEBUG=0" ;; esac

# The architecture of that kernel.
# shellcheck source=dev/lib/arch.sh
. "$repo/dev/lib/arch.sh"

# The changes to the base are this repository's directories and diffs; with SERIES=fixes,
# the fixes alone; with FIXES=1, both.  An architecture may need the fixes.
: "${SERIES:=main}" "${FIXES:=${arch_fixes:-0}}"
case $SERIES in
main) series_dir=series ;;
fixes) series_dir=series/fixes ;;
*) die "SERIES=$SERIES: no such series" "use SERIES=fixes, or leave it unset" ;;
esac
case $FIXES in 0 | 1) ;; *) die "FIXES=$FIXES: not understood" "use FIXES=1 or FIXES=0" ;; esac

# run_logged TITLE LOG COMMAND...: run a long command with its output in LOG, and print a
# line of progress every 15 s.  If it fails, show the end of the log and fail.
run_logged() {
	local what=$1 log=$2 begin=$SECONDS last
	shift 2
	mkdir -p "$(dirname "$log")"
	say "$what (log: $log)"
	"$@" >"$log" 2>&1 </dev/null &
	local pid=$!
	# shellcheck disable=SC2064 # kill this PID, not a later one
	trap "kill $pid 2>/dev/null" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		if [ $(((SECONDS - begin) % 15)) -eq 14 ]; then
			last=$(grep -av '^$' "$log" | tail -n 1 | tr -d '\r' | cut -c 1-60) || true
			say "$what: $((SECONDS - begin)) s: $last"
		fi
		sleep 1
	done
	trap - INT TERM
	if ! wait "$pid"; then
		tail -n 40 "$log" >&2
		die "$what failed" "the whole log: $log"
	fi
}

# at_least WANTED HAVE: compare dotted versions.
at_least() {
	[ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# kernel_version TREE: "7.3.4" from TREE's Makefile, or nothing.
kernel_version() {
	[ -f "$1/Makefile" ] || return 0
	awk '$2 == "=" && /^(VERSION|PATCHLEVEL|SUBLEVEL) =/ { v[$1] = $3 }
	     END { if (v["VERSION"] != "") print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"] }' \
		"$1/Makefile"
}

# usable_rustc RUSTC: it is new enough for the kernel, and has the matching source of the
# standard library, which the kernel compiles itself.
usable_rustc() {
	local version sysroot
	version=$("$1" --version 2>/dev/null | awk '{ print $2 }') || return 1
	at_least 1.85 "${version:-0}" || return 1
	sysroot=$("$1" --print sysroot) || return 1
	[ -f "$sysroot/lib/rustlib/src/rust/library/core/src/lib.rs" ]
}

# find_rustc: print the compiler to use: the caller's, that in PATH, or the system's.
find_rustc() {
	local candidate
	for candidate in "${RUSTC:-}" "$(command -v rustc || true)" /usr/bin/rustc; do
		if [ -n "$candidate" ] && usable_rustc "$candidate"; then
			printf '%s\n' "$candidate"
			return 0
		fi
	done
	return 1
}

# find_cargo: print the caller's cargo, that in PATH or the system's, if it is new enough
# for the tests.
find_cargo() {
	local candidate version
	for candidate in "${CARGO:-}" "$(command -v cargo || true)" /usr/bin/cargo; do
		[ -x "$candidate" ] || continue
		version=$("$candidate" --version 2>/dev/null | awk '{ print $2 }')
		if at_least 1.85 "${version:-0}"; then
			printf '%s\n' "$candidate"
			return 0
		fi
	done
	return 1
}

# find_bindgen: print the bindgen in PATH if it is new enough, else that in the cache.
find_bindgen() {
	local candidate version
	for candidate in "$(command -v bindgen || true)" "$tools/bin/bindgen"; do
		[ -x "$candidate" ] || continue
		version=$("$candidate" --version | awk '{ print $2 }')
		if at_least 0.71.1 "$version"; then
			printf '%s\n' "$candidate"
			return 0
		fi
	done
	return 1
}

# find_cargo_fuzz: print the cargo-fuzz in PATH, else that in the cache.
find_cargo_fuzz() {
	local candidate
	for candidate in "$(command -v cargo-fuzz || true)" "$tools/bin/cargo-fuzz"; do
		if [ -x "$candidate" ] && "$candidate" fuzz --version >/dev/null 2>&1; then
			printf '%s\n' "$candidate"
			return 0
		fi
	done
	return 1
}

# set_kmake: set the array kmake to the kernel's make with this tool chain.
set_kmake() {
	local rustc bindgen bin clang
	rustc=$(find_rustc) || die "no usable rustc" "run: make toolchain"
	bindgen=$(find_bindgen) || die "no usable bindgen" "run: make toolchain"
	bin=$(dirname "$rustc")
	kmake=(make -j"$(nproc)" --no-print-directory RUSTC="$rustc" RUSTDOC="$bin/rustdoc"
		RUSTFMT="$bin/rustfmt" CLIPPY_DRIVER="$bin/clippy-driver" BINDGEN="$bindgen")
	[ -z "$foreign" ] || kmake+=(ARCH="$ARCH" CROSS_COMPILE="$cross")
	# bindgen parses the compiler's options, and must know all of them.
	if [ "${LLVM:-}" = newest ]; then
		clang=$("$repo/dev/lib/clang.sh") || exit 1
		kmake+=(LLVM="$clang/bin/" BINDGEN="$clang/bindgen")
	fi
}

# renew_objtool BUILD: clean an objtool that was built without libxxhash-dev, so that the next
# build makes another one.  klp-build and livepatches in Rust need its commands for them.
renew_objtool() {
	local objtool=$1/tools/objtool/objtool
	[ -x "$objtool" ] && [[ $("$objtool" klp 2>&1) = *"not implemented"* ]] || return 0
	run_logged "cleaning objtool" "$1/log/objtool" "${kmake[@]}" -C "$1" objtool_clean
}

# build_parity_modules BUILD: build the modules of dev/parity/modules for the kernel in
# BUILD, in BUILD/parity-modules.
build_parity_modules() {
	local kmake
	set_kmake
	rsync -a "$repo/dev/parity/modules/" "$1/parity-modules/"
	run_logged "building the modules of dev/parity/modules" "$1/log/parity-modules" \
		"${kmake[@]}" -C "$1" modules KBUILD_EXTMOD="$1/parity-modules"
}

# take_turns DIRECTORY: wait until no other build is at work in DIRECTORY.
take_turns() {
	mkdir -p "$1"
	exec 9>"$1/lock"
	flock -n 9 || { say "waiting for another build in $1"; flock 9; }
}

# base_dir: print the unpacked kernel source from which everything is built.  A
# developer's own tree (KDIR) has a separate work directory.
base_dir() {
	if [ -n "${KDIR:-}" ]; then
		(cd "$KDIR" && pwd)
	else
		printf '%s\n' "$cache/base/linux${BASE:+-$BASE}"
	fi
}

# work_dir: print the directory of the composed tree and the builds for this base.
work_dir() {
	local what=''
	[ "$FIXES" = 0 ] || what=-fixed
	[ "$SERIES" = main ] || what=-$SERIES
	if [ -n "${KDIR:-}" ]; then
		printf '%s/kdir-%s%s\n' "$cache" "$(base_dir | sha256sum | cut -c 1-8)" "$what"
	else
		printf '%s/packaged%s%s\n' "$cache" "${BASE:+-$BASE}" "$what"
	fi
}

tree_dir() {
	printf '%s/tree\n' "$(work_dir)"
}

# build_dir NAME: print a build directory.  Those for a foreign architecture are in a
# separate directory.  O= moves all of them.
build_dir() {
	local name=${foreign:+$ARCH/}$1
	if [ -n "${O:-}" ]; then
		printf '%s/%s\n' "$(realpath -m "$O")" "$name"
	else
		printf '%s/build/%s\n' "$(work_dir)" "$name"
	fi
}

# kernel_build: print the build directory that CORE and DEBUG select.
kernel_build() {
	if [ "$DEBUG" = 1 ]; then
		build_dir "$CORE-debug"
	else
		build_dir "$CORE"
	fi
}

# The directories of this repository that mirror the kernel's.
in_tree=(Documentation include kernel lib rust samples scripts tools)

# in_tree_files: print the paths of the files that go into the kernel, each ended by a
# null byte, without the leftovers of a build.
in_tree_files() {
	local folder
	[ "$SERIES" = main ] || return 0
	for folder in "${in_tree[@]}"; do
		[ ! -d "$repo/$folder" ] || (cd "$repo" && find "$folder" -type f ! -name '*.o' ! -path '*/target/*' \
			! -name Cargo.lock ! -path tools/livepatch/klpctl ! -path tools/livepatch/klpctl-test -print0)
	done
}

# The leftovers of a build or of checkpatch in a base, in the notation that rsync and git
# share.
base_leftovers=('*.o' '*.ko' '*.cmd' /.config /include/config /include/generated
	'/arch/*/include/generated' /vmlinux '/.checkpatch-camelcase.*' /.complete)

# is_clone DIRECTORY: it is the top of a git clone.
is_clone() {
	[ -d "$1/.git" ] || [ -f "$1/.git" ]
}

# series_diffs: print the diffs to upstream's files, each ended by a null byte, in the
# order in which they apply.  Those in series/7.2/ are for that base alone.  There they take
# the place of a diff of the same name in series/diffs/.
series_diffs() {
	local places=("$series_dir/diffs") version older='' diff
	version=$(kernel_version "$(base_dir)")
	[ "$FIXES" = 0 ] || places=(series/diffs series/fixes/diffs)
	if [ "$SERIES" = main ] && [ -n "$version" ] && [ -d "$repo/series/${version%.*}" ]; then
		older=series/${version%.*}
		places+=("$older")
	fi
	(cd "$repo" && find "${places[@]}" -name '*.diff' -print0 | LC_ALL=C sort -z) |
		while IFS= read -r -d '' diff; do
			[[ -n "$older" && "$diff" == series/diffs/* && -f "$repo/$older/${diff#series/diffs/}" ]] ||
				printf '%s\0' "$diff"
		done
}

# source_id: print a checksum of the sources that a kernel is built from.
source_id() {
	{
		cat "$(base_dir)/.complete" 2>/dev/null || true
		cd "$repo" && { in_tree_files; series_diffs; } |
			grep -zvE '^(series/[a-z0-9./]*diffs/)?(Documentation|samples|tools/livepatch|tools/testing)/' |
			LC_ALL=C sort -z | xargs -0 sha256sum
	} | sha256sum | cut -c 1-16
}

# diff_target DIFF: print the file that series/diffs/FILE.diff or FILE@PURPOSE.diff
# changes.
diff_target() {
	local file=${1#series/}
	file=${file#fixes/}
	file=${file#diffs/}
	file=${file#[0-9]*.[0-9]*/}
	file=${file%.diff}
	printf '%s\n' "${file%@*}"
}

# apply_diff DIFF: apply it to the files in the current directory, which need not be a
# repository.
apply_diff() {
	GIT_DIR=/nonexistent git apply -C1 --whitespace=nowarn "$1"
}

# The directory of the figures of make bench.
figures=Documentation/livepatch/bench

# commit_id: print the current commit, and whether files other than results differ from
# it.
commit_id() {
	local commit changes=''
	commit=$(git -C "$repo" rev-parse --short=12 HEAD 2>/dev/null) || commit=unknown
	[ -z "$(git -C "$repo" status --porcelain -- . ":!$figures" :!series/{matrix,runs} :!README.md 2>/dev/null)" ] ||
		changes=' and changes to it'
	printf '%s%s\n' "$commit" "$changes"
}

# guest NAME [ARGUMENT...]: run dev/guest/NAME in the virtual machine, and print its
# output with the two lines around it that judge.sh reads.
guest() {
	local command status=0
	printf -v command '%q ' "dev/guest/$1" "${@:2}"
	echo "# $1"
	"$repo/dev/vm.sh" "$command" || status=$?
	echo "# $1: exit status $status"
}

# The directory in which check keeps its output.
checks=$cache/log
# shellcheck source=dev/lib/count.sh
. "$repo/dev/lib/count.sh"
