#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test the scripts themselves: their messages and their exit status after errors, and the
# unit tests of the Python scripts.  This needs the base, and builds nothing.  The last
# line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# expect NAME STATUS TEXT COMMAND...: COMMAND exits with STATUS and prints TEXT.
expect() {
	local name=$1 wanted=$2 text=$3 status=0 output
	shift 3
	output=$("$@" 2>&1 </dev/null) || status=$?
	if [ "$status" = "$wanted" ] && grep -qF -e "$text" <<<"$output"; then
		count 1 0
	else
		count 0 1
		printf 'not ok: %s: status %s, wanted %s and "%s"; it said:\n%s\n' \
			"$name" "$status" "$wanted" "$text" "$output"
	fi
}

base=$("$repo/dev/lib/base.sh")

# Every command has its script, and its line in make help.
targets=$(sed -n 's/^\([a-z-]*\):.*/\1/p' "$repo/Makefile" | sort)
expect "dev/NAME.sh is there exactly if make NAME is" 0 "" \
	diff <(printf '%s\n' "$targets") <(cd "$repo/dev" && printf '%s\n' *.sh | sed 's/\.sh$//' | sort)
expect "make help has all commands, and no others" 0 "" \
	diff <(grep -vx help <<<"$targets") <("$repo/dev/help.sh" | sed -n 's/^make \([a-z-]*\).*/\1/p' | sort)

# A copy of this repository, to break.
copy=$scratch/repo
mkdir "$copy"
cp -a "$repo/dev" "$repo/kernel" "$repo/rust" "$repo/series" "$repo/Makefile" "$copy/"

mkdir "$scratch"/{none,older,other}
printf 'VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 1\n' >"$scratch/other/Makefile"
printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = 1\n' "${supported[-1]%.*}" "${supported[-1]#*.}" >"$scratch/older/Makefile"
expect "KDIR that is not there" 1 "no such folder" env KDIR="$scratch/nowhere" "$repo/dev/lib/base.sh"
expect "KDIR without a kernel" 1 "not a Linux source tree" env KDIR="$scratch/none" "$repo/dev/lib/base.sh"
expect "KDIR of another version" 1 "is Linux 6.12.1; supported: ${supported[0]}.x" \
	env KDIR="$scratch/other" "$repo/dev/lib/base.sh"
expect "KDIR of this version" 0 "$base" env KDIR="$base" "$repo/dev/lib/base.sh"

# The counter, and the notations that it reads.
counted() {
	(
		passed=0 failed=0
		printf '%s\n' "${@:2}" >"$scratch/counted"
		"$1" "$scratch/counted" || exit 2
		totals
	)
}
expect "counter: a suite" 0 "3 passed, 0 failed" counted count_suite "1 passed, 0 failed" "3 passed, 0 failed" "[0:01] done"
expect "counter: a suite with a failure" 1 "3 passed, 1 failed" counted count_suite "3 passed, 1 failed"
expect "counter: a suite in which nothing passed" 1 "0 passed, 0 failed" counted count_suite "0 passed, 0 failed"
expect "counter: a suite that ended early" 2 "" counted count_suite "ok: 3 passed, 0 failed, or so"
expect "counter: cargo" 1 "7 passed, 2 failed" counted count_cargo \
	"test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s" \
	"test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s"
# A test program of which one test passes, one dies, and one is ignored.
cat >"$scratch/program" <<'end'
#!/bin/bash
case "$*" in
*--list*) printf '%s: test\n' passes dies ignored ;;
*passes) echo "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured" ;;
*dies) echo "the reason" && exit 101 ;;
*ignored) echo "test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured" ;;
esac
end
chmod +x "$scratch/program"
expect "each test: the totals" 1 "test result: FAILED. 1 passed; 1 failed; 1 ignored;" "$repo/dev/lib/each-test.sh" "$scratch/program"
expect "each test: why one has failed" 1 "the reason" "$repo/dev/lib/each-test.sh" "$scratch/program"
expect "counter: cargo, of no program" 1 "0 passed, 0 failed" counted count_cargo "error: could not compile"
expect "counter: kunit.py" 1 "70 passed, 6 failed" counted count_kunit \
	$'[12:00:00] \x1b[1;31mTesting complete. Ran 79 tests: passed: 70, failed: 1, crashed: 2, skipped: 4, errors: 3\x1b[0m'
expect "counter: kunit.py, all passed" 0 "70 passed, 0 failed" counted count_kunit \
	$'[12:00:00] \x1b[1;32mTesting complete. Ran 70 tests: passed: 70\x1b[0m'
expect "counter: unittest" 0 "9 passed, 0 failed" counted count_unittest "Ran 9 tests in 0.123s" "" "OK"
expect "counter: unittest, with failures" 1 "5 passed, 3 failed" counted count_unittest \
	"Ran 9 tests in 0.123s" "" "FAILED (failures=1, errors=2, skipped=1)"
expect "counter: unittest, that ended early" 2 "" counted count_unittest "Traceback (most recent call last):"

# The unit tests of the scripts in Python.
if ! (cd "$repo/dev" && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -t . -s .) >"$scratch/unittest" 2>&1; then
	cat "$scratch/unittest"
fi
count_unittest "$scratch/unittest" || count 0 1

# A machine without some of its commands.
without() {
	local bin=$scratch/bin
	rm -rf "$bin"
	mkdir "$bin"
	ln -s /usr/sbin/* /sbin/* /usr/bin/* /bin/* "$bin/" 2>/dev/null || true
	(cd "$bin" && rm -f "$@")
}
fresh() {
	env -u KDIR PATH="$scratch/bin" LIVEPATCH_RUST_CACHE="$scratch/fresh" "$@"
}
without apt-get
expect "no apt, no KDIR: the package" 1 "linux-source-${supported[0]} " fresh "$repo/dev/lib/base.sh"
expect "no apt, no KDIR: a tree" 1 "make KDIR=path" fresh "$repo/dev/lib/base.sh"
without
printf 'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n' >"$scratch/apt.conf"
expect "apt without an archive" 1 "no archive configured" \
	fresh env APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/base.sh"
expect "apt without an archive: a tree" 1 "make KDIR=path" \
	fresh env APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/base.sh"
expect "apt without an archive: a foreign root" 1 "no archive configured" \
	fresh env ARCH=arm64 APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/root.sh"
expect "apt without an archive: no half of a root is left" 1 "" test -e "$scratch/fresh/root/arm64"
expect "apt without an archive: a library for klpctl" 1 "no standard library of Rust for s390x-unknown-linux-gnu" \
	fresh env ARCH=s390 APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/rust-std.sh"
expect "apt without an archive: a suite's root" 1 "has the suite bookworm" \
	fresh env APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/root.sh" bookworm
expect "apt without an archive: the suite of the base" 1 "no suite has a linux-image-cloud-amd64 of 7.3" \
	fresh env APT_CONFIG="$scratch/apt.conf" bash -c '. "$1/dev/lib/lib.sh"; . "$1/dev/lib/apt.sh"; suite_of_base 7.3' \
	"$repo/dev/scripts" "$repo"
without apt-get
expect "no apt: a foreign root" 1 "ARCH=arm64 needs the packages of Debian's architecture arm64" \
	fresh env ARCH=arm64 "$repo/dev/lib/root.sh"

# An archive that has some series of the kernel: a program that answers as apt-get does.
without apt-get
archive=$scratch/archive
cat >"$scratch/bin/apt-get" <<end
#!/bin/bash
deb=\$(compgen -G "$archive/\${!#}_*.deb")
case "\$*" in
indextargets*) echo http://archive.invalid/debian stable main Packages /usr/share/keyrings/archive.gpg ;;
*" update") ;;
*" --print-uris download "*) [ -n "\$deb" ] ;;
*" download "*) [ -s "\$deb" ] && cp "\$deb" . ;;
*) exit 100 ;;
esac
end
chmod +x "$scratch/bin/apt-get"
# archive_has VERSION...: put the packages of these versions into the archive, and no others.
archive_has() {
	local version package numbers
	rm -rf "$archive" "$scratch/fresh"
	mkdir "$archive"
	for version in "$@"; do
		package=linux-source-${version%.*}
		mkdir -p "$archive/linux" "$archive/$package"/{DEBIAN,usr/src}
		IFS=. read -ra numbers <<<"$version"
		printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\n' "${numbers[@]}" >"$archive/linux/Makefile"
		tar -cJf "$archive/$package/usr/src/$package.tar.xz" -C "$archive" linux
		printf 'Package: %s\nVersion: %s-1\nArchitecture: all\nMaintainer: x\nDescription: x\n' \
			"$package" "$version" >"$archive/$package/DEBIAN/control"
		dpkg-deb --root-owner-group -b "$archive/$package" "$archive/${package}_$version-1_all.deb" >/dev/null
	done
}
archive_has "${supported[@]/%/.9}"
expect "an archive with all series: the newest is taken" 0 "base: Linux ${supported[0]}.9" fresh "$repo/dev/lib/base.sh"
expect "an archive with all series: BASE selects" 0 "base: Linux ${supported[-1]}.9" \
	fresh env BASE="${supported[-1]}" "$repo/dev/lib/base.sh"
expect "they do not replace each other" 0 "${supported[0]}.9" fresh bash -c '. "$0/dev/lib/lib.sh"; kernel_version "$(base_dir)"' "$repo"
archive_has "${supported[@]/%/.9}"
: >"$(compgen -G "$archive/linux-source-${supported[0]}_*.deb")"
expect "a download that fails: no other series is taken" 1 "no base could be fetched" fresh "$repo/dev/lib/base.sh"
archive_has "${supported[-1]}.9"
expect "the newest series has left the archive: the next is taken" 0 "base: Linux ${supported[-1]}.9" fresh "$repo/dev/lib/base.sh"
expect "then it is the base" 0 "$scratch/fresh/base/linux" fresh "$repo/dev/lib/base.sh"
archive_has "${supported[-1]}.9"
expect "the series that BASE names has left the archive" 1 "linux-source-${supported[0]} " \
	fresh env BASE="${supported[0]}" "$repo/dev/lib/base.sh"

without
if [ "$(id -u)" = 0 ]; then
	without flex bison
	rm -rf "$scratch/fresh"
	install -d -o nobody "$scratch/fresh"
	chmod 755 "$scratch"
	expect "not root: names what is missing and why" 1 "missing: flex (Kconfig parser)" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	expect "not root: says what to run" 1 "sudo apt-get install" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	without recountdiff
	expect "not root: names what klp-build needs" 1 "missing: patchutils (klp-build" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh" klp-build
	without aarch64-linux-gnu-gcc
	expect "not root: names what another architecture needs" 1 "missing: gcc-aarch64-linux-gnu (compiles the kernel)" \
		fresh env ARCH=arm64 setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	without qemu-system-s390x
	expect "not root: names what another machine needs" 1 "missing: qemu-system-misc (the virtual machine)" \
		fresh env ARCH=s390 setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	without rpmbuild
	expect "not root: names what the packages of klpctl need" 1 "missing: rpm (makes the .rpm)" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh" package
	without pahole
	expect "not root: names what upstream's tests need" 1 "missing: pahole (" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh" upstream
fi

expect "tools that nobody knows" 1 "no such set of tools" "$repo/dev/toolchain.sh" carpentry
expect "core that is not there" 1 "CORE=ada: no such core" env CORE=ada "$repo/dev/vm.sh" true
expect "vm without a command" 1 "no command" "$repo/dev/vm.sh" ""
expect "vm without a kernel" 1 "there is no kernel" env O="$scratch/build" "$repo/dev/vm.sh" true

# Architectures.
for script in kernel vm selftest kunit toolchain; do
	expect "$script: an architecture that is not there" 1 "ARCH=vax: no such architecture here" \
		env ARCH=vax "$repo/dev/$script.sh" true
done
expect "architectures are named" 1 "use one of: x86_64 arm64 s390" env ARCH=aarch64 "$repo/dev/vm.sh" true
expect "a foreign vm without a kernel" 1 "make kernel ARCH=arm64" env ARCH=arm64 O="$scratch/build" "$repo/dev/vm.sh" true
expect "a foreign build has its own directory" 1 "$scratch/build/s390/rust-debug" \
	env ARCH=s390 O="$scratch/build" "$repo/dev/vm.sh" true
for script in bench distribution livepatch parity test test-klp-build test-livepatches upstream; do
	expect "$script: on x86_64 alone" 1 "$script.sh is for x86_64 alone" env ARCH=arm64 "$repo/dev/$script.sh"
done
# facts ARCH CODE: run CODE in a shell that has sourced lib.sh for ARCH.
facts() {
	ARCH=$1 bash -c '. "$1/dev/lib/lib.sh"; eval "$2"' "$repo/dev/facts" "$repo" "$2"
}
for arch in $(facts "" 'echo $architectures'); do
	expect "$arch: all facts are there" 0 "" facts "$arch" \
		'for it in image arch_needs; do : "${!it:?}"; done
		[ -z "$foreign" ] || for it in cross machine virtio console debian rust_target; do : "${!it:?}"; done'
	expect "$arch: its options are there" 0 "" test -s "$repo/dev/config/$arch.config"
	expect "$arch: no option is in two fragments" 0 "" test -z \
		"$(facts "$arch" 'mapfile -t files < <(arch_fragments rust); sed "s/=.*//" "${files[@]}" | sort | uniq -d')"
done
expect "x86_64: make sees no ARCH" 1 "" facts x86_64 'env | grep ^ARCH='
expect "arm64: scripts that a script starts see ARCH" 0 "ARCH=arm64" facts arm64 'env | grep ^ARCH='
expect "distribution: what to keep is not clear" 1 "CAPTURE=yes: not understood" \
	env CAPTURE=yes "$repo/dev/distribution.sh"
expect "x86_64: no root file system is made" 1 "has this machine's own files" "$repo/dev/lib/root.sh"
expect "x86_64: no other rustc is needed" 1 "any rustc compiles" "$repo/dev/lib/rust-std.sh"
expect "KUnit on an unknown architecture" 1 "use KUNIT_ARCH=um" env KUNIT_ARCH=vax "$repo/dev/kunit.sh"
expect "user-space tests, not asked for clearly" 1 "DEEP=2: not understood" env DEEP=2 "$repo/dev/userland.sh"
for setting in N=0 N=many SEED=01; do
	expect "randconfig: $setting is no number" 1 "$setting: not understood" env "$setting" "$repo/dev/randconfig.sh"
done
expect "distribution: no configuration is named" 1 "no configuration named" "$repo/dev/lib/distribution.sh"
expect "fuzz: a kernel of another architecture" 1 "MATRIX=arm64: this kernel does not run the fuzzer" \
	env MATRIX=arm64 "$repo/dev/fuzz.sh"
expect "torture: for how long is not clear" 1 "MINUTES=soon: not understood" env MINUTES=soon "$repo/dev/torture.sh"
expect "fuzz: how many cases is not clear" 1 "COUNT=many: not understood" env COUNT=many "$repo/dev/fuzz.sh"
for setting in COUNT=08 MINUTES=00 SEED=01 ONLY=05 ONLY=last; do
	expect "fuzz: $setting is no number" 1 "$setting: not understood" \
		env "$setting" "$repo/dev/fuzz.sh"
done
expect "fuzz: one case of none" 1 "no case is tried with COUNT=0" \
	env COUNT=0 ONLY=5 "$repo/dev/fuzz.sh"
expect "fuzz: a kernel that loads signed modules alone" 1 "MATRIX=module-sig: this kernel" \
	env MATRIX=module-sig "$repo/dev/fuzz.sh"
expect "fuzz: a kernel that is not there" 1 "MATRIX names vax, which is not in dev/config/matrix" \
	env MATRIX=vax "$repo/dev/fuzz.sh"
expect "fuzz: a parser that is not there" 1 "PARSERS names poems" env PARSERS=poems "$repo/dev/fuzz.sh"
# A copy with programs that look like cargo and cargo-fuzz.
parsers=$scratch/parsers
mkdir -p "$parsers"/{bin,tools/livepatch/fuzz/fuzz_targets}
cp -a "$repo/dev" "$parsers/"
touch "$parsers/tools/livepatch/fuzz/fuzz_targets/module.rs"
printf '#!/bin/sh\necho cargo 1.99.0 of the caller\n' >"$parsers/cargo-1.99"
printf '#!/bin/sh\n[ "$2" = --version ] || { cargo; exit 1; }\n' >"$parsers/bin/cargo-fuzz"
printf '#!/bin/sh\n' >"$parsers/dev/toolchain.sh"
chmod +x "$parsers/cargo-1.99" "$parsers/bin/cargo-fuzz"
fuzz_parsers() {
	env PATH="$parsers/bin:$PATH" CARGO="$parsers/cargo-1.99" COUNT=0 MINUTES=1 PARSERS=module \
		LIVEPATCH_RUST_CACHE="$parsers/cache" "$parsers/dev/fuzz.sh"
}
expect "fuzz: parsers that cannot be built" 1 "0 passed, 1 failed" fuzz_parsers
expect "fuzz: the caller's cargo builds them" 1 "cargo 1.99.0 of the caller" fuzz_parsers
expect "tools for nothing known" 1 "garden: no such set of tools" "$repo/dev/toolchain.sh" garden

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
touch "$tree/tools/testing/selftests/livepatch"/test-{exiting,jump,jump-oom,jump-users,leave,new,notify,oom,trace}.sh
selftests() {
	env KDIR="$small" LIVEPATCH_RUST_CACHE="$scratch/cache" TESTS= "$@" "$copy/dev/selftest.sh" --list
}
all() {
	printf '%s\n' "$@"
}
expect "selftests: all that are there" 0 "" diff <(cd "$tree/tools/testing/selftests/livepatch" && all test-*.sh) <(selftests)
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
expect "make livepatch: a name that no module can have" 1 "NAME=fix.1: no name of a module" livepatch NAME=fix.1
expect "make livepatch: a patch that does not apply" 1 "fix.diff does not apply to Linux 7.3" livepatch
echo nothing >"$scratch/empty.diff"
expect "make livepatch: a file that is no patch" 1 "empty.diff changes no file" livepatch PATCH="$scratch/empty.diff"
for file in mm/Kconfig arch/x86/entry/entry_64.S arch/x86/entry/vdso/vma.c lib/string.c rust/kernel/lib.rs; do
	fix "$file"
	expect "make livepatch: a patch to $file" 1 "changes $file: " livepatch
done

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
keep_run() {
	bash -c '. "$0/dev/lib/lib.sh"; . "$0/dev/lib/runs.sh"; count 7 1; keep_run "$@"' "$copy" "$@"
}
expect "a long run" 0 "" keep_run "make long" "2 loads"
expect "its result is kept" 0 "make long|7 passed, 1 failed; 2 loads|$(date +%F)|" cat "$copy/series/runs"
expect "README shows it" 0 "| \`make long\` | 7 passed, 1 failed; 2 loads | $(date +%F) |" cat "$copy/README.md"
expect "another run" 0 "" keep_run "make short"
expect "a run that the list lacks leaves it alone" 0 "" test "$(cut -d'|' -f1 "$copy/series/runs" | xargs -d '\n')" = "make long make long CORE=c"
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

# The patch series, from a small repository and a small base.
rm -rf "$copy"
mkdir -p "$copy" "$scratch/linux"/{Documentation,arch,drivers,fs,include,init,ipc,lib,scripts}
cp -a "$repo/dev" "$repo/Documentation" "$repo/kernel" "$repo/series" "$copy/"
git init -q "$copy"
git -C "$copy" add -A
git -C "$copy" -c user.name=x -c user.email=x@example.org commit -qm all
small_base "$scratch/linux"
# The series is for the newest base.
sed -i "s/^PATCHLEVEL = .*/PATCHLEVEL = ${supported[0]#*.}/" "$scratch/linux/Makefile"
touch "$scratch/linux"/{COPYING,CREDITS,Kbuild,README} "$scratch/linux"/{arch,drivers,fs,include,init,ipc,lib}/Kconfig
cp "$base/scripts/get_maintainer.pl" "$scratch/linux/scripts/"
printf '[user]\n\tname = Ada Author\n\temail = ada@example.org\n[format]\n\tsignoff = true\n' >"$scratch/gitconfig"
written() {
	env -u GIT_AUTHOR_NAME -u GIT_AUTHOR_EMAIL -u GIT_COMMITTER_NAME -u GIT_COMMITTER_EMAIL -u EMAIL \
		GIT_CONFIG_GLOBAL="$scratch/gitconfig" GIT_CONFIG_NOSYSTEM=1 KDIR="$scratch/linux" \
		LIVEPATCH_RUST_CACHE="$scratch/series-cache" "$@" "$copy/dev/series.sh"
}
# rewritten [VARIABLE=value...]: write the series again; sets patches.
rewritten() {
	patches=$(written "$@" 2>/dev/null) || patches=$scratch/none
}
# in_series NAME STATUS LINE FILES: STATUS is 0 if a mail must have that line, and 1 if no
# mail may have it.
in_series() {
	expect "series: $1" "$2" "" grep -rqxF -e "$3" "$patches" --include="$4"
}
expect "series: from a folder" 0 "patches and a cover letter" written
rewritten
expect "series: the cover letter knows no commit" 0 "without a git history" cat "$patches/0000-cover-letter.patch"
in_series "nobody signs off" 1 "Signed-off-by: Ada Author <ada@example.org>" "*"
in_series "the author is the user" 0 "From: Ada Author <ada@example.org>" "0001-*"
maintainer=$(sed -n '/^LIVE PATCHING$/,/^$/s/^M:\t//p' "$base/MAINTAINERS" | head -n 1)
expect "series: whom it is to" 0 "To: $maintainer" cat "$patches/0000-cover-letter.patch"
expect "series: the list" 0 "live-patching@vger.kernel.org" sed '/^$/,$d' "$patches/0000-cover-letter.patch"
printf '/.checkpatch*\n' >"$scratch/linux/.gitignore"
touch "$scratch/linux/.checkpatch-camelcase.date.0"
expect "series: from a folder in which checkpatch ran" 0 "patches and a cover letter" written

linux() {
	git -C "$scratch/linux" -c user.name=x -c user.email=x@example.org "$@"
}
git init -q "$scratch/linux"
linux add -A
linux commit -qm base
rewritten PERL_HASH_SEED=1
in_series "the base is a commit" 0 "base-commit: $(linux rev-parse HEAD)" "0000-*"
git clone -q "$scratch/linux" "$scratch/applied"
mapfile -t mails < <(find "$patches" -name '*.patch' ! -name '0000-*' | sort)
expect "series: git am" 0 "Applying: livepatch: Add the Rust core" \
	git -C "$scratch/applied" -c user.name=x -c user.email=x@example.org am "${mails[@]}"
expect "series: git am makes the file" 0 "" cmp "$copy/kernel/livepatch/hooks.c" "$scratch/applied/kernel/livepatch/hooks.c"
expect "series: git am makes the change" 0 "" grep -q LIVEPATCH_RUST "$scratch/applied/kernel/livepatch/Kconfig"
mv "$patches" "$scratch/once"
rewritten PERL_HASH_SEED=2
expect "series: the same again" 0 "" diff -r "$scratch/once" "$patches"
results=$(dirname "$patches")/../results
printf 'commit: %s\nuserland: 61 passed, 0 failed\n' "$(git -C "$copy" rev-parse HEAD)" >"$results"
rewritten
in_series "test results" 0 "  userland: 61 passed, 0 failed" "0000-*"
in_series "test results of this state" 1 "(The test results are of an earlier state.)" "0000-*"
echo 'commit: 0123456789ab and changes to it' >"$results"
rewritten
in_series "test results of another state" 0 "(The test results are of an earlier state.)" "0000-*"
rewritten SIGNOFF=1 ASSISTED_BY="NOBODY sparse"
in_series "the tools are named" 0 "Assisted-by: NOBODY sparse" "0001-*"
in_series "the user signs off" 0 "Signed-off-by: Ada Author <ada@example.org>" "0001-*"

expect "series: nobody knows whose" 1 "git config --global user.email" written GIT_CONFIG_GLOBAL=/dev/null
expect "series: no number of a version" 1 "REROLL=two: not the number" written REROLL=two
expect "series: signed how" 1 "SIGNOFF=yes: not understood" written SIGNOFF=yes
expect "series: no such base" 1 "no such folder" written KDIR="$scratch/nowhere"
expect "series: a base of another version" 1 "is Linux 6.12.1" written KDIR="$scratch/other"
expect "series: a base that is not the newest" 1 "the series is for ${supported[0]}" \
	written KDIR="$scratch/older"
expect "series: no changelog" 1 "does not say what changed in v2" written REROLL=2
printf 'Changes in v2:\n- Better.\n' >>"$copy/series/changes"
rewritten REROLL=2
in_series "a changelog" 0 "- Better." "v2-0000-*"
expect "series: the second" 0 "Subject: [PATCH v2 01/" cat "$patches"/v2-0001-*
expect "series: no third" 1 "does not say what changed in v3" written REROLL=3

echo >>"$scratch/linux/README"
expect "series: a base with changes" 1 "changes that are not committed" written
linux checkout -q README
mkdir "$copy/lib"
echo >"$copy/lib/new.c"
expect "series: a file of no commit" 1 "lib/new.c belongs to no commit" written
for commit in 05-rules-states 17-core; do
	echo 'lib/*' >>"$copy/series/commits/$commit"
done
expect "series: a file of two commits" 1 "lib/new.c belongs to series/commits/05-rules-states and to series/commits/17-core" written
echo 'lib/new*' >>"$copy/series/commits/17-core"
expect "series: the longest pattern wins" 0 "patches and a cover letter" written
mv "$copy/lib/new.c" "$copy/lib/Kconfig"
echo 'lib/Kconfig' >>"$copy/series/commits/17-core"
expect "series: a file that is upstream's" 1 "lib/Kconfig is upstream's" written
rm -r "${copy:?}/lib"
cp "$copy/series/diffs/kernel/livepatch/Kconfig.diff" "$copy/series/diffs/kernel/livepatch/Kconfig@again.diff"
expect "series: a diff of no commit" 1 "Kconfig@again.diff belongs to no commit" written
rm "$copy/series/diffs/kernel/livepatch/Kconfig@again.diff"
echo 'series/diffs/tools/testing/selftests/livepatch/Makefile@rust.diff' >>"$copy/series/commits/05-rules-states"
expect "series: a diff before what it builds on" 1 "does not apply where series/commits/05-rules-states has it" written
sed -i '$d' "$copy/series/commits/05-rules-states"
touch "$(KDIR="$scratch/linux" LIVEPATCH_RUST_CACHE="$scratch/series-cache" "$copy/dev/tree.sh" 2>/dev/null)/kernel/stray.c"
expect "series: the tree has something else" 1 "kernel/stray.c" written
sed -i '/^Files:/d' "$copy/series/commits/05-rules-states"
expect "series: a commit without files" 1 "05-rules-states does not say which files" written
expect "checks of a series that nobody knows" 1 "taste: no such checks" "$repo/dev/series-check.sh" taste

# The judge of selftests must find every failure.
printf '# test-a.sh\nTEST: one ... ok\n# test-a.sh: exit status 0\n' >"$scratch/output"
echo "livepatch: fine" >"$scratch/dmesg"
judge() {
	"$repo/dev/lib/judge.sh" "$scratch/output" "$scratch/dmesg"
}
expect "judge: all is well" 0 "1 passed, 0 failed" judge
for line in "WARNING: possible circular locking" "BUG: sleeping function" "INFO: task hung" "Oops: 0000"; do
	echo "[    1.0] $line" >"$scratch/dmesg"
	expect "judge: $line" 1 "1 passed, 1 failed" judge
done
echo "livepatch: fine" >"$scratch/dmesg"
printf '# test-a.sh\nTEST: one ... not ok\n# test-a.sh: exit status 1\n' >"$scratch/output"
expect "judge: a case and its script" 1 "0 passed, 2 failed" judge
printf '# test-a.sh\nTEST: one ... ok\nSKIP: two\n# test-a.sh: exit status 0\n' >"$scratch/output"
expect "judge: a case that was skipped" 1 "1 passed, 1 failed" judge
printf '# test-a.sh\n# test-a.sh: exit status 0\n' >"$scratch/output"
expect "judge: no case" 1 "no case ran" judge
printf '# test-a.sh\nTEST: one ... ok\n# test-a.sh: exit status 0\n# kmemleak: unreferenced\n' >"$scratch/output"
expect "judge: a leak" 1 "1 passed, 1 failed" judge
: >"$scratch/dmesg"
expect "judge: no log" 1 "nothing to judge" judge

# The comparison of the two cores, as make parity runs it.  Its unit tests test more.
for core in c rust; do
	mkdir -p "$scratch/$core/parity/records"
	printf '# one\ninsmod: %s\n' $core >"$scratch/$core/parity/records/001"
	printf '13,1,1,-;parity: begin 1 one\n13,2,2,-;parity: end of the tour\n' >"$scratch/$core/parity/records/kmsg"
done
expect "parity: a difference" 1 "+insmod: rust" env TOURS=one "$repo/dev/parity/compare.py" tours "$scratch/c" "$scratch/rust"
expect "parity: the steps are kept" 0 "# messages" cat "$scratch/rust/parity/steps/001"
cp "$scratch/c/parity/records/001" "$scratch/rust/parity/records/001"
expect "parity: no difference" 0 "1 passed, 0 failed" env TOURS=one "$repo/dev/parity/compare.py" tours "$scratch/c" "$scratch/rust"
expect "parity: no builds" 1 "make kernel CORE=c" "$repo/dev/parity/compare.py" builds "$scratch/c" "$scratch/rust" "$scratch"
expect "parity: neither builds nor tours" 1 "taste: not understood" "$repo/dev/parity/compare.py" taste

expect "editing what is no module" 1 "not a 64-bit little-endian ELF file" \
	"$repo/dev/lib/edit-module.py" "$repo/Makefile" "$scratch/out.ko"
expect "editing a module that is not there" 1 "No such file" \
	"$repo/dev/lib/edit-module.py" "$scratch/nowhere.ko" "$scratch/out.ko"

# The report of the benchmark must refuse input that is no figure.
expect "bench of what cannot be measured" 1 "there is no 'speed' to measure" \
	env BENCH="calls speed" "$repo/dev/bench.sh"
printf 'figure calibration - - - 2000040\nfigure call_unpatched klp_bench_target - - 900000\n' >"$scratch/figures-c"
cp "$scratch/figures-c" "$scratch/figures-rust"
report() {
	python3 "$repo/tools/testing/livepatch/bench/report.py" "$@" "$scratch/figures-c" "$scratch/figures-rust"
}
expect "bench: a table" 0 "9.00" report
echo 'figure call_patched klp_bench_target 1 - 8600000' >>"$scratch/figures-rust"
expect "bench: what is measured on one core only" 1 "nothing is written: patched: extra" report --write "$scratch/bench"
expect "bench: then nothing is written" 1 "" test -e "$scratch/bench"
echo 'figure call_patched klp_bench_target 1 - cat: Input/output error' >>"$scratch/figures-rust"
expect "bench: an error is no figure" 1 "not a figure" report
printf 'figure calibration - - - 2000040\nfigure enable vmlinux 10 - 0\n' >"$scratch/figures-rust"
expect "bench: nothing costs nothing" 1 "Rust: a figure is not positive" report
echo 'figure calibration - - - 2999999' >"$scratch/figures-rust"
expect "bench: another clock" 1 "Rust: the clock does not count instructions" report
: >"$scratch/figures-rust"
expect "bench: no clock" 1 "Rust: there is no calibration" report
# plots CODE: run the code beside plots.py.
plots() {
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$repo/tools/testing/livepatch/bench python3 -c "$1"
}
in_words() {
	plots '
from plots import Panel, Plot
panel = Panel("two", [(1, 6.5e6), (1000, None)], [(1, 999), (1000, 1.25e9)])
print(Plot("name", "title", "functions", "instructions", [panel]).description())'
}
expect "bench: a plot in words" 0 \
	"Instructions by functions. two, C core: 6.5 M at 1. two, Rust core: 999 at 1, 1.25 G at 1,000." in_words
in_short() {
	plots '
from plots import number
print(number(999_600), number(999_400))'
}
expect "bench: a number that is rounded up" 0 "1 M 999 k" in_short

totals
