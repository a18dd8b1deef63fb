# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # scripts.sh, and the parts before this one, set them
#
# A part of dev/test/scripts.sh: the judges of results: selftests, parity, and the benchmark.

# The judge of selftests must find every failure.
printf '# test-a.sh\nTEST: one ... ok\n# test-a.sh: exit status 0\n' >"$scratch/output"
echo "livepatch: fine" >"$scratch/dmesg"
judge() {
	"$repo/dev/lib/judge.sh" "$scratch/output" "$scratch/dmesg"
}
expect "judge: all is well" 0 "1 passed, 0 failed" judge
for line in "WARNING: possible circular locking" "BUG: sleeping function" "INFO: task hung" "Oops: 0000" \
	"Call Trace:" "Call trace:"; do
	echo "[    1.0] $line" >"$scratch/dmesg"
	expect "judge: $line" 1 "1 passed, 1 failed" judge
done
echo "livepatch: fine" >"$scratch/dmesg"
printf '# test-a.sh\nTEST: one ... not ok\n# test-a.sh: exit status 1\n' >"$scratch/output"
expect "judge: a case and its script" 1 "0 passed, 2 failed" judge
printf '# test-a.sh\nTEST: one ... ok\nSKIP: two\n# test-a.sh: exit status 0\n' >"$scratch/output"
expect "judge: a case that was skipped" 1 "1 passed, 1 failed" judge
expect "judge: a case that may be skipped" 0 "1 passed, 0 failed" env MAY_SKIP='t.o$' "$repo/dev/lib/judge.sh" \
	"$scratch/output" "$scratch/dmesg"
expect "judge: a case that may not be skipped" 1 "not run: SKIP: two" env MAY_SKIP=three "$repo/dev/lib/judge.sh" \
	"$scratch/output" "$scratch/dmesg"
printf '# test-a.sh\nTEST: one ... ok\nok 1 one\nok 2 two # SKIP no CPU 1\n# test-a.sh: exit status 0\n' >"$scratch/output"
expect "judge: a case that was skipped in KTAP" 1 "not run: two # SKIP no CPU 1" judge
expect "judge: a case in KTAP that may be skipped" 0 "skipped: two: no CPU 1" env MAY_SKIP='^no.CPU' \
	"$repo/dev/lib/judge.sh" "$scratch/output" "$scratch/dmesg"
expect "judge: a case in KTAP with another reason" 1 "1 passed, 1 failed" env MAY_SKIP=two \
	"$repo/dev/lib/judge.sh" "$scratch/output" "$scratch/dmesg"
printf '# test-a.sh\nTEST: one ... ok\n# test-a.sh: exit status 0\n' >"$scratch/output"
printf '# test-b.sh\nSKIP: no such CPU\n# test-b.sh: exit status 4\n' >>"$scratch/output"
expect "judge: a script that is skipped" 1 "1 passed, 3 failed" judge
expect "judge: a script that may be skipped" 0 "skipped: no such CPU" env MAY_SKIP=CPU "$repo/dev/lib/judge.sh" \
	"$scratch/output" "$scratch/dmesg"
printf '# test-a.sh\nTEST: one ... ok\n# test-b.sh\nTEST: two ... ok\n' >"$scratch/output"
expect "judge: scripts that end with their machine" 1 "2 passed, 2 failed" judge
printf '# test-a.sh\n# test-a.sh: exit status 0\n' >"$scratch/output"
expect "judge: no case" 1 "no case ran" judge
printf '# test-a.sh\nTEST: one ... ok\n# test-a.sh: exit status 0\n# kmemleak: unreferenced\n' >"$scratch/output"
expect "judge: a leak" 1 "1 passed, 1 failed" judge
# The scan for leaks reports that it cannot scan in the same way.
echo "quiet kmemleak=on" >"$scratch/cmdline"
leaks() {
	env CMDLINE="$scratch/cmdline" KMEMLEAK="$1" "$repo/dev/guest/leaks.sh"
}
expect "leaks: kmemleak is not there" 0 "# kmemleak: it is not in this kernel" leaks "$scratch/nowhere"
expect "leaks: kmemleak has switched itself off" 0 "# kmemleak: it has switched itself off" leaks /dev/full
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
