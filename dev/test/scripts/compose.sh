# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # scripts.sh, and the parts before this one, set them
#
# A part of dev/test/scripts.sh: the composed tree, and the lists that are made from it.

# small_base DIRECTORY: make a base so small that composing takes no time.
small_base() {
	local diff file
	install -D "$base/Makefile" "$1/Makefile"
	while IFS= read -r -d '' diff; do
		file=$(diff_target "$diff")
		[ ! -f "$base/$file" ] || install -D "$base/$file" "$1/$file"
	done < <(series_diffs)
}
small=$scratch/small
small_base "$small"
compose() {
	env KDIR="$small" LIVEPATCH_RUST_CACHE="$scratch/cache" "$copy/dev/tree.sh"
}
expect "composing" 0 "/tree" compose
tree=$(compose 2>/dev/null)
expect "a new file is in the tree" 0 "" test -f "$tree/kernel/livepatch/hooks.c"
expect "a diff is applied" 0 "LIVEPATCH_RUST" grep LIVEPATCH_RUST "$tree/kernel/livepatch/Kconfig"
expect "the base stays as it was" 1 "" grep LIVEPATCH_RUST "$small/kernel/livepatch/Kconfig"
# Diffs for this series of the base alone: one that takes the place of another one, and one
# to a file of ours.
own=$copy/series/$(kernel_version "$small" | cut -d. -f1,2)
mkdir -p "$own/kernel/livepatch"
sed 's/Live patching core in Rust/Core of this series/' "$copy/series/diffs/kernel/livepatch/Kconfig.diff" >"$own/kernel/livepatch/Kconfig.diff"
diff -U1 --label a/kernel/livepatch/hooks.c --label b/kernel/livepatch/hooks.c "$copy/kernel/livepatch/hooks.c" \
	<(sed '1s/$/ of this series/' "$copy/kernel/livepatch/hooks.c") >"$own/kernel/livepatch/hooks.c.diff" || true
compose >/dev/null 2>&1
expect "a diff for this series takes the place of the other" 0 "Core of this series" grep Core "$tree/kernel/livepatch/Kconfig"
expect "a diff for this series changes a file of ours" 0 "of this series" head -n 1 "$tree/kernel/livepatch/hooks.c"
mv "$own" "$copy/series/0.1"
compose >/dev/null 2>&1
expect "a diff for another series is left out" 1 "" grep "of this series" "$tree"/kernel/livepatch/{Kconfig,hooks.c}
touch "$scratch/then"
compose >/dev/null 2>&1
expect "composing again touches nothing" 0 "" test -z "$(find "$tree" -type f -newer "$scratch/then")"
mkdir -p "$tree/tools/testing/selftests/livepatch"
touch "$tree/tools/testing/selftests/livepatch"/test-{exiting,jump,jump-oom,jump-users,leave,new,nohz-full,notify,oom,trace}.sh
selftests() {
	env KDIR="$small" LIVEPATCH_RUST_CACHE="$scratch/cache" TESTS= "$@" "$copy/dev/selftest.sh" --list
}
all() {
	printf '%s\n' "$@"
}
expect "selftests: all that are there" 0 "" diff <(cd "$tree/tools/testing/selftests/livepatch" && all test-*.sh) \
	<(selftests APPEND=nohz_full=1)
expect "selftests: one that needs a CPU without a tick is named" 0 "left out: test-nohz-full.sh: the machine" selftests
expect "selftests: on no machine" 1 "MACHINES=0: not understood" selftests MACHINES=0
expect "selftests: all but some" 0 "" diff <(selftests | grep -vx test-oom.sh) <(selftests LEAVE_OUT=test-oom.sh)
expect "selftests: none that the C core cannot pass" 0 "" diff <(all test-{new,oom}.sh) <(selftests CORE=c)
expect "selftests: those that an architecture cannot pass are named" 0 "left out: test-jump.sh: functions jump to" \
	selftests ARCH=arm64
expect "selftests: LEAKS=2" 1 "LEAKS=2: not understood" selftests LEAKS=2
expect "selftests: one that is not there is not left out" 1 "LEAVE_OUT names test-gone.sh" selftests LEAVE_OUT=test-gone.sh
# From a source patch to a livepatch: what no livepatch can change is refused first.
livepatch() {
	env KDIR="$small" LIVEPATCH_RUST_CACHE="$scratch/cache" PATCH="$scratch/fix.diff" NAME= "$@" "$copy/dev/livepatch.sh"
}
# fix FILE: make fix.diff, a patch of one line that FILE does not have.
fix() {
	printf -- '--- a/%s\n+++ b/%s\n@@ -1 +1 @@\n-one\n+other\n' "$1" "$1" >"$scratch/fix.diff"
}
fix kernel/livepatch/core.c
expect "make livepatch: no patch" 1 "PATCH is empty" livepatch PATCH=
expect "make livepatch: a patch that is not there" 1 "$scratch/gone.diff, which is no file" livepatch PATCH="$scratch/gone.diff"
expect "make livepatch: LOAD=2" 1 "LOAD=2: not understood" livepatch LOAD=2
expect "make livepatch: LOAD=1 for another machine" 1 "use: klpctl load" livepatch LOAD=1 KERNEL=7.3.4-own
expect "make livepatch: a name that no module can have" 1 "NAME=fix.1: no name of a module" livepatch NAME=fix.1
expect "make livepatch: a patch that does not apply" 1 "fix.diff does not apply to Linux 7.3" livepatch
echo nothing >"$scratch/empty.diff"
expect "make livepatch: a file that is no patch" 1 "empty.diff changes no file" livepatch PATCH="$scratch/empty.diff"
for file in mm/Kconfig arch/x86/entry/entry_64.S arch/x86/entry/vdso/vma.c lib/string.c rust/kernel/lib.rs; do
	fix "$file"
	expect "make livepatch: a patch to $file" 1 "changes $file: " livepatch
done
# new_file FILE: add a new FILE to fix.diff.
new_file() {
	printf -- '--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+one\n' "$1" >>"$scratch/fix.diff"
}
: >"$scratch/fix.diff"
new_file tools/testing/selftests/mm/Makefile
expect "make livepatch: a patch to programs alone" 1 "nothing of the kernel is changed: $scratch/fix.diff" livepatch
new_file mm/new.c
expect "make livepatch: a new file, and a program" 1 "mm/new.c is new, and nothing builds it" livepatch
diff -u --label a/kernel/livepatch/hooks.c --label /dev/null "$copy/kernel/livepatch/hooks.c" /dev/null >"$scratch/fix.diff" || true
expect "make livepatch: a file that is removed" 1 "the patches remove kernel/livepatch/hooks.c" livepatch
{ echo && cat "$copy/kernel/livepatch/hooks.c"; } >"$scratch/moved.c"
sed '20s/$/ other/' "$scratch/moved.c" |
	diff -u --label a/kernel/livepatch/hooks.c --label b/kernel/livepatch/hooks.c "$scratch/moved.c" - >"$scratch/fix.diff" || true
new_file mm/new.c
expect "make livepatch: a patch for another version" 1 "see that it changes the right lines" livepatch
expect "make livepatch: where that patch applies" 1 "offset -1 line" livepatch
# klp-build takes no patch that needs another.
joined() {
	# shellcheck disable=SC2016 # the inner shell has its own arguments
	env KDIR="$small" LIVEPATCH_RUST_CACHE="$scratch/cache" bash -c '. "$1/dev/lib/lib.sh"; . "$1/dev/lib/patches.sh"
		for patch in "${@:3}"; do apply_patch "$2" "$patch" >&2; done
		joined_patch "$2"' joined "$copy" "$scratch/joined" "$@"
}
sed 1a//first "$copy/kernel/livepatch/hooks.c" >"$scratch/first.c"
for change in first:1a//first second:2c//second; do
	[ "${change%%:*}" = first ] && from=$copy/kernel/livepatch/hooks.c || from=$scratch/first.c
	sed "${change#*:}" "$from" | diff -u --label a/kernel/livepatch/hooks.c --label b/kernel/livepatch/hooks.c \
		"$from" - >"$scratch/${change%%:*}.diff" || true
done
joined "$scratch"/{first,second}.diff >"$scratch/joined.diff" 2>/dev/null
expect "one patch of two, of which one needs the other" 0 "checking file kernel/livepatch/hooks.c" \
	patch --dry-run -p1 -d "$tree" -i "$scratch/joined.diff"
# The words for which make livepatch has a hint are those of klp-build and objtool.
while IFS='|' read -r words _; do
	expect "make livepatch: a hint for '$words'" 0 "" grep -rqF -e "$words" "$base/scripts/livepatch" "$base/tools/objtool"
done < <(sed -n "/^done <<'hints'/,/^hints/p" "$repo/dev/livepatch.sh" | sed '1d;$d')
sed -i '/^--- .dev.null/,$d' "$scratch/fix.diff"
header=kernel/livepatch/rust.h
{ cat "$copy/$header" && echo; } | diff -u --label "a/$header" --label "b/$header" "$copy/$header" - >"$scratch/header.diff" || true
expect "make livepatch: a patch to a header" 1 "the patches change $header" \
	livepatch PATCH="$scratch/header.diff" KERNEL=7.3.4-gone
expect "make livepatch: a packaged kernel that is not there" 1 "KERNEL=7.3.4-gone: make package-kernel has made no such kernel" \
	livepatch KERNEL=7.3.4-gone

ftrace=$tree/tools/testing/selftests/ftrace/test.d
upstream() {
	env KDIR="$small" LIVEPATCH_RUST_CACHE="$scratch/cache" TESTS= "$@" "$copy/dev/upstream.sh" --list
}
expect "upstream: without a tree" 1 "there are no tests of ftrace" upstream
mkdir -p "$ftrace"/{kprobe,remotes/hypervisor}
touch "$ftrace"/kprobe/{args,busy}.tc "$ftrace/remotes/trace.tc" "$ftrace/remotes/hypervisor/trace.tc"
expect "upstream: what is not there is not left out" 1 "leaves out selftest/bashisms.tc, which is not in" upstream
mkdir "$ftrace/selftest"
touch "$ftrace/selftest/bashisms.tc"
expect "upstream: all tests" 0 "" diff <(all livepatch_trampoline modify_return kprobe/{args,busy}.tc remotes/trace.tc) <(upstream)
expect "upstream: what is asked for" 0 "" diff <(all livepatch_trampoline kprobe/{args,busy}.tc selftest/bashisms.tc) \
	<(upstream TESTS="kprobe selftest/bashisms.tc livepatch_trampoline")
expect "upstream: a test that is not there" 1 "TESTS names uprobe, which is not in" upstream TESTS=uprobe
packaged() {
	env -u KDIR LIVEPATCH_RUST_CACHE="$scratch/packaged" "$copy/dev/tree.sh"
}
mkdir -p "$scratch/packaged/base"
cp -r "$small" "$scratch/packaged/base/linux"
touch "$scratch/packaged/base/linux/.complete"
expect "composing from a package" 0 "/tree" packaged
rm -rf "$scratch/packaged/packaged/tree"
expect "composing after the tree was deleted" 0 "/tree" packaged
expect "then the whole base is there" 0 "" test -f "$scratch/packaged/packaged/tree/Makefile"
matrix() {
	env "$@" "$copy/dev/matrix.sh" --list
}
expect "matrix: all kernels" 0 "" diff <(cd "$copy/dev/config/matrix" && printf '%s\n' *.config | sed 's/\.config$//') <(matrix)
expect "matrix: what is asked for" 0 "" diff <(all preempt up) <(matrix MATRIX="preempt up")
expect "matrix: a kernel that is not there" 1 "MATRIX names vax, which is not in dev/config/matrix" matrix MATRIX=vax
expect "matrix: every kernel says what it is" 0 "" \
	diff <(all "$copy"/dev/config/matrix/*.config) <(grep -l '^# [^=]*$' "$copy"/dev/config/matrix/*.config)

# Results of long runs.
mkdir -p "$copy/Documentation/livepatch"
cp -r "$repo/Documentation/livepatch/bench" "$copy/Documentation/livepatch/"
cp "$repo/README.md" "$copy/"
printf 'make long|||\nmake long CORE=c|||\n' >"$copy/series/runs"
other_base=
keep_run() {
	env BASE="$other_base" KDIR= bash -c '. "$0/dev/lib/lib.sh"; . "$0/dev/lib/runs.sh"; count 7 1; keep_run "$@"' "$copy" "$@"
}
expect "a long run" 0 "" keep_run "make long" "2 loads"
expect "its result is kept" 0 "make long|7 passed, 1 failed; 2 loads|$(date +%F)|" cat "$copy/series/runs"
expect "README shows it" 0 "| \`make long\` | 7 passed, 1 failed; 2 loads | $(date +%F) |" cat "$copy/README.md"
other_base=7.2
expect "a run on another base" 0 "" keep_run "make long" "9 loads"
expect "its result is not kept" 1 "" grep "9 loads" "$copy/series/runs"
other_base=
expect "another run" 0 "" keep_run "make short"
expect "a run whose name is the end of another's" 0 "" keep_run "long"
expect "a run that the list lacks leaves it alone" 0 "" test "$(cut -d'|' -f1 "$copy/series/runs" | xargs -d '\n')" = "make long make long CORE=c"
unusual() {
	env LONG=1 SHORT= WIDE="a b" bash -c '. "$0/dev/lib/lib.sh"; . "$0/dev/lib/runs.sh"; echo "[$(unusual "$@")]"' "$copy" "$@"
}
expect "settings that are the defaults" 0 "[]" unusual LONG=1 SHORT= NONE=
expect "settings that are not" 0 "[ LONG=1 SHORT= WIDE=a b]" unusual LONG=2 SHORT=x WIDE= NONE=
expect "a long run that has not run" 0 "| \`make long CORE=c\` | has not run | | |" cat "$copy/README.md"
git init -q "$small"
git -C "$small" add .
touch "$small/untracked.c"
rm -rf "$tree" "$(dirname "$tree")/base-copied" "$(dirname "$tree")/composed"
expect "composing from a git clone" 0 "/tree" compose
expect "what git does not track stays out" 1 "" test -e "$tree/untracked.c"
expect "what git tracks is there" 0 "VERSION" grep VERSION "$tree/Makefile"
rm "$copy/kernel/livepatch/hooks.c" "$copy/series/diffs/kernel/livepatch/Kconfig"*.diff
compose >/dev/null 2>&1
expect "a file that is gone leaves the tree" 1 "" test -e "$tree/kernel/livepatch/hooks.c"
expect "a diff that is gone leaves the tree" 0 "" cmp "$small/kernel/livepatch/Kconfig" "$tree/kernel/livepatch/Kconfig"
sed -i 's/core.o patch.o/gone.o patch.o/' "$small/kernel/livepatch/Makefile"
expect "a diff that does not apply names the file" 1 "file: kernel/livepatch/Makefile" compose
expect "a diff that does not apply names the hunk" 1 ":@@ -" compose
