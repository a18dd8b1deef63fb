#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Fuzz live patching from outside: load livepatches with mutated ELF files and tables in the
# virtual machine, and write to their files in sysfs; then fuzz klpctl's parsers, and those
# of the core in Rust, in user space.  Progress comes once a minute.  The last line is "N
# passed, N failed".
#
#   dev/fuzz.sh    COUNT=10000 MACHINES=1 SEED= ONLY= BEYOND=0 MATRIX=clang-kasan DEBUG=0
#                  MINUTES=2 PARSERS='module text task arguments tree names'
#
# COUNT is the number of cases; with COUNT=0 there is no machine.  MACHINES run at the same
# time, each with a part of the cases and a seed of its own.  SEED repeats the cases of a run,
# with the same number of machines, and ONLY tries one of them.  DEBUG=1 adds lockdep,
# kmemleak and the like, and takes several times as long.  BEYOND=1 adds the mutations that
# the kernel is known to answer with a report: see tools/testing/livepatch/fuzz.
#
# MATRIX is one of the kernels in dev/config/matrix, or "debug", the one of make selftest.
#
# Each parser is fuzzed for MINUTES; with MINUTES=0, none is.

export DEBUG=${DEBUG:-0}
# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/matrix.sh
. "$repo/dev/lib/matrix.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
native_only

parsers="module text task arguments tree names"
: "${COUNT:=10000}" "${SEED:=$RANDOM}" "${ONLY:=}" "${BEYOND:=0}" "${MATRIX:=clang-kasan}"
: "${MINUTES:=2}" "${PARSERS:=$parsers}" "${MACHINES:=1}"
run="make fuzz COUNT=$COUNT"
run+=$(unusual MATRIX=clang-kasan CORE=rust DEBUG=0 BEYOND=0 MINUTES=2 "PARSERS=$parsers" FIXES=0 CPUS= \
	MEM= QEMU_OPTS= APPEND=)
for setting in COUNT SEED MINUTES; do
	# The shell would take a number with a zero before it for an octal one.
	[[ ${!setting} =~ ^(0|[1-9][0-9]{0,6})$ ]] || die "$setting=${!setting}: not understood" \
		"use a number of up to 7 digits, without zeros before it"
done
[[ $ONLY =~ ^(|0|[1-9][0-9]{0,6})$ ]] ||
	die "ONLY=$ONLY: not understood" "use the number of a case"
[ "$COUNT" != 0 ] || [ -z "$ONLY" ] ||
	die "COUNT=0 ONLY=$ONLY: no case is tried with COUNT=0" "leave COUNT unset"
[[ $MACHINES =~ ^[1-9]$ ]] || die "MACHINES=$MACHINES: not understood" "use a number from 1 to 9"
[ -z "$ONLY" ] || MACHINES=1
case $BEYOND in
0 | 1) ;;
*) die "BEYOND=$BEYOND: not understood" "use BEYOND=1 or BEYOND=0" ;;
esac
if [ "$MATRIX" != debug ]; then
	check_kernels "$MATRIX"
	! settings "$MATRIX" | grep -q ^ARCH= ||
		die "MATRIX=$MATRIX: this kernel does not run the fuzzer, which is built for x86_64" "use another kernel"
	! grep -qx CONFIG_MODULE_SIG_FORCE=y "$kernels/$MATRIX.config" ||
		die "MATRIX=$MATRIX: this kernel loads signed modules alone" \
			"use another kernel: mutated modules have no signature"
fi
for parser in $PARSERS; do
	[ -f "$repo/tools/livepatch/fuzz/fuzz_targets/$parser.rs" ] ||
		die "PARSERS names $parser, which is not in tools/livepatch/fuzz" \
			"use some of: $parsers"
done

"$repo/dev/toolchain.sh" fuzz
cargo=$(find_cargo) || die "no usable cargo" "run: dev/toolchain.sh fuzz"

# fuzz_kernel: print the output of the run in the machine, and the totals of its tests.
fuzz_kernel() {
	local out results i machines=()
	[ "$MATRIX" = debug ] || select_kernel "$MATRIX" || return 1
	out=$("$repo/dev/kernel.sh") || return 1
	run_logged "building the fuzzer" "$cache/log/fuzz-build" \
		env CARGO_TARGET_DIR="$cache/userland" "$cargo" build --release -p livepatch-fuzz \
		--manifest-path "$repo/tools/testing/livepatch/Cargo.toml"
	cp "$cache/userland/release/livepatch-fuzz" "$out/selftests/" || return 1
	results=$out/selftests/fuzz
	rm -rf "$results"

	say "COUNT=$COUNT SEED=$SEED on the kernel $MATRIX, with the core ${CORE/rust/in Rust}"
	for ((i = 0; i < MACHINES; i++)); do
		mkdir -p "$results/$i"
		fuzz_machine "$results/$i" $((SEED + i)) $(((COUNT + i) / MACHINES)) | sed -u "s/^/[$i] /" &
		machines+=($!)
	done
	wait "${machines[@]}"
	for ((i = 0; i < MACHINES; i++)); do
		"$repo/dev/lib/judge.sh" "$results/$i/output" "$results/$i/dmesg" || repeat "$results/$i/dmesg" $((SEED + i))
	done
}

# count_machines LOG: add the totals of all machines.
count_machines() {
	count "$(sed -nE 's/^([0-9]+) passed, [0-9]+ failed$/\1/p' "$1" | sum)" \
		"$(sed -nE 's/^[0-9]+ passed, ([0-9]+) failed$/\1/p' "$1" | sum)"
	# A machine without totals has failed.
	count 0 $((MACHINES - $(grep -acE '^[0-9]+ passed, [0-9]+ failed$' "$1")))
}

# fuzz_machine RESULTS SEED COUNT: run one machine.
fuzz_machine() {
	local results=$1 cases=$3 arguments=(--seed "$2" --count "$3")
	[ -z "$ONLY" ] || cases=1 arguments+=(--only "$ONLY")
	[ "$BEYOND" = 0 ] || arguments+=(--beyond)
	# Machines share the CPUs of this one.
	APPEND="log_buf_len=16M kmemleak=on kasan.fault=panic ${APPEND:-}" DMESG=$results/dmesg CPUS=${CPUS:-1} \
		TIMEOUT=${TIMEOUT:-$((cases * 5 + 7200))} \
		"$repo/dev/vm.sh" "dev/guest/fuzz.sh ${arguments[*]}" 2>&1 |
		tee "$results/output" || echo "# virtual machine.sh: exit status 1" >>"$results/output"
}

# repeat DMESG SEED: tell the last case, its last step, and how to try it again.
repeat() {
	local line number setting command
	line=$(last_line 'klp-fuzz: [0-9]+: ' "$1") || true
	number=${line#klp-fuzz: }
	number=${number%%:*}
	say "the last case: ${line:-none}"
	say "the last line of the fuzzer: $(last_line 'klp-fuzz: ' "$1")"
	command="make fuzz SEED=$2 ONLY=${number:-n} BEYOND=$BEYOND MATRIX=$MATRIX"
	command+=" CORE=$CORE DEBUG=$DEBUG"
	for setting in FIXES BASE KDIR; do
		[ -z "${!setting:-}" ] || command+=" $setting=${!setting}"
	done
	say "to try it alone: $command MINUTES=0"
}

# last_line PATTERN FILE: print the last of the fuzzer's lines that begins so, without the
# time before it.
last_line() {
	grep -saoE "$1.*" "$2" | tail -n 1 | tr -d '\r'
}

# build_parsers DIRECTORY: build the fuzzers of the parsers, without a sanitizer: the parsers
# have no unsafe code.  cargo-fuzz runs the "cargo" in PATH, and CARGO may have another name.
build_parsers() {
	mkdir -p "$1/bin" && ln -sfn "$(realpath -s "$cargo")" "$1/bin/cargo" || return 1
	PATH=$1/bin:$(realpath -s "$(dirname "$cargo")"):$PATH RUSTC_BOOTSTRAP=1 \
		"$(find_cargo_fuzz)" fuzz build --sanitizer none \
		--fuzz-dir "$repo/tools/livepatch/fuzz" --target-dir "$1/build"
}

# make_corpus DIRECTORY: write the bytes of klpctl's own tests, from which the fuzzers begin,
# and names for the parsers of the core.
make_corpus() {
	mkdir -p "$1/seeds/names" || return 1
	printf '.klp.rela.vmlinux..text' >"$1/seeds/names/section"
	printf '.klp.sym.vmlinux.printk,1' >"$1/seeds/names/symbol"
	make -C "$repo/tools/livepatch" --no-print-directory OUTPUT="$1/" RUSTC="$(find_rustc)" \
		"$1/klpctl-test" || return 1
	KLPCTL_DIR=$repo/tools/livepatch KLPCTL_CORPUS=$1/seeds "$1/klpctl-test" tests::fuzz
}

# fuzz_parsers: count one test for each parser, or one that failed if they cannot be built.
fuzz_parsers() {
	local out=$cache/fuzz parser found program
	mkdir -p "$out"
	if ! (run_logged "building the parsers with libFuzzer" "$cache/log/fuzz-parsers" \
		build_parsers "$out" &&
		run_logged "making bytes to begin with" "$cache/log/fuzz-corpus" \
			make_corpus "$out"); then
		count 0 1
		echo "not ok: building the parsers"
		return
	fi
	for parser in $PARSERS; do
		# Keep the new inputs that earlier runs have found.
		found=$out/found/$parser
		program=("$(find "$out/build" -path "*/release/$parser" -type f)")
		rm -rf "$out/tmp"
		mkdir -p "$found" "$out/tmp"
		if (run_logged "fuzzing the parser: $parser" "$cache/log/fuzz-$parser" \
			env TMPDIR="$out/tmp" "${program[@]}" -max_total_time=$((MINUTES * 60)) \
			-max_len=16384 -timeout=60 -artifact_prefix="$out/$parser-" "$found" "$out/seeds/$parser"); then
			count 1 0
		else
			count 0 1
			echo "not ok: the parser $parser; to try it alone: ${program[*]} FILE"
		fi
	done
}

if [ "$COUNT" != 0 ]; then
	mkdir -p "$cache/log"
	fuzz_kernel 2>&1 | tee "$cache/log/fuzz" |
		sed -u 's/^[0-9]* passed, [0-9]* failed$/in a machine: &/' || true
	count_machines "$cache/log/fuzz"
fi
[ "$MINUTES" = 0 ] || fuzz_parsers
[ -n "$ONLY" ] || keep_run "$run"
totals
