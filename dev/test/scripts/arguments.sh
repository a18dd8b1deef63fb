# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # scripts.sh, and the parts before this one, set them
#
# A part of dev/test/scripts.sh: arguments that cannot be used.

expect "tools that nobody knows" 1 "no such set of tools" "$repo/dev/toolchain.sh" carpentry
expect "core that is not there" 1 "CORE=ada: no such core" env CORE=ada "$repo/dev/vm.sh" true
expect "vm without a command" 1 "no command" "$repo/dev/vm.sh" ""
expect "vm without a kernel" 1 "there is no kernel" env O="$scratch/build" "$repo/dev/vm.sh" true

# Architectures.
for script in kernel vm selftest kunit toolchain; do
	expect "$script: an architecture that is not there" 1 "ARCH=vax: no such architecture here" \
		env ARCH=vax "$repo/dev/$script.sh" true
done
expect "architectures are named" 1 "use one of: x86_64 arm64 s390 powerpc" env ARCH=aarch64 "$repo/dev/vm.sh" true
expect "a foreign vm without a kernel" 1 "make kernel ARCH=arm64" env ARCH=arm64 O="$scratch/build" "$repo/dev/vm.sh" true
expect "a foreign build has its own directory" 1 "$scratch/build/s390/rust-debug" \
	env ARCH=s390 O="$scratch/build" "$repo/dev/vm.sh" true
for script in bench distribution livepatch package-kernel parity test test-klp-build test-livepatches \
	test-package-kernel upstream; do
	expect "$script: on x86_64 alone" 1 "$script.sh is for x86_64 alone" env ARCH=arm64 "$repo/dev/$script.sh"
done
# facts ARCH CODE: run CODE in a shell that has sourced lib.sh for ARCH.  The settings that
# follow from ARCH must not come from the caller: make test exports FIXES.
facts() {
	env -u FIXES -u LLVM ARCH="$1" bash -c '. "$1/dev/lib/lib.sh"; eval "$2"' "$repo/dev/facts" "$repo" "$2"
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
expect "powerpc: has the newest clang" 0 "LLVM=newest" facts powerpc 'env | grep ^LLVM='
expect "powerpc: the caller has another clang" 0 "LLVM=-99" env LLVM=-99 ARCH=powerpc bash -c \
	'. "$1/dev/lib/lib.sh"; env | grep ^LLVM=' "$repo/dev/facts" "$repo"
expect "powerpc: builds with the fixes" 0 "packaged-fixed/tree" facts powerpc tree_dir
expect "s390: builds with the fixes" 0 "packaged-fixed/tree" facts s390 tree_dir
expect "powerpc: the caller wants none" 0 "packaged/tree" env FIXES=0 ARCH=powerpc bash -c \
	'. "$1/dev/lib/lib.sh"; tree_dir' "$repo/dev/facts" "$repo"
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
expect "distribution: parts that are not there" 1 "all: not understood" \
	"$repo/dev/lib/distribution.sh" amd64_none_amd64 all
expect "package-kernel: a configuration that is not there" 1 "CONFIG=$scratch/none/config: no such file" \
	env CONFIG="$scratch/none/config" "$repo/dev/package-kernel.sh"
expect "package-kernel: a part of a configuration" 1 "not the configuration of a kernel for x86-64" \
	env CONFIG="$repo/dev/config/package.config" "$repo/dev/package-kernel.sh"
# A whole configuration is longer than a pipe.
{
	echo CONFIG_X86_64=y && seq 100000 | sed 's/^/# /'
} >"$scratch/whole-config"
expect "package-kernel: a whole configuration, and no cache" 1 "Not a directory" \
	env CONFIG="$scratch/whole-config" LIVEPATCH_RUST_CACHE=/dev/null "$repo/dev/package-kernel.sh"
expect "a system of the distribution: a command that is not there" 1 "carve: not understood" \
	"$repo/dev/lib/system.sh" carve
expect "fuzz: a kernel of another architecture" 1 "MATRIX=arm64: this kernel does not run the fuzzer" \
	env MATRIX=arm64 "$repo/dev/fuzz.sh"
expect "torture: for how long is not clear" 1 "MINUTES=soon: not understood" env MINUTES=soon "$repo/dev/torture.sh"
expect "fuzz: how many cases is not clear" 1 "COUNT=many: not understood" env COUNT=many "$repo/dev/fuzz.sh"
expect "fuzz: no machine" 1 "MACHINES=0: not understood" env MACHINES=0 "$repo/dev/fuzz.sh"
for setting in COUNT=08 MINUTES=00 SEED=01 ONLY=05 ONLY=last; do
	expect "fuzz: $setting is no number" 1 "$setting: not understood" \
		env "$setting" "$repo/dev/fuzz.sh"
done
expect "fuzz: one case of none" 1 "no case is tried with COUNT=0" \
	env COUNT=0 ONLY=5 "$repo/dev/fuzz.sh"
expect "fuzz: a kernel that loads signed modules alone" 1 "MATRIX=ibt-module-sig: this kernel" \
	env MATRIX=ibt-module-sig "$repo/dev/fuzz.sh"
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
