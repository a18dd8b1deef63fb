#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Torture live patching in the virtual machine: everything at once, at random, for as
# long as it is asked for.  Statistics come once a minute.  The last line is "N passed,
# N failed".
#
#   dev/torture.sh    MINUTES=10 SEED= SLEEPERS=3000 MATRIX=
#
# SEED repeats the choices of a run, and SLEEPERS is the number of threads that sleep
# most of the time: see test-torture.sh of the selftests, which does it.  MATRIX is one
# of the kernels in dev/config/matrix, by default the one that CORE and DEBUG select.  With
# CORE=c FIXES=1, the test does more: see FIXED there.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/matrix.sh
. "$repo/dev/lib/matrix.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"

: "${MINUTES:=10}" "${SEED:=}" "${SLEEPERS:=3000}"
for setting in MINUTES SEED SLEEPERS; do
	[[ ${!setting} =~ ^([1-9][0-9]{0,4})?$ ]] || die "$setting=${!setting}: not understood" "use a number from 1 to 99999"
done
run="make torture MINUTES=$MINUTES"
# A kernel of the matrix has some of these settings as well.
other=$(unusual SLEEPERS=3000 "FIXES=${arch_fixes:-0}" CPUS= MEM= QEMU_OPTS= APPEND=)
if [ -n "${MATRIX:-}" ]; then
	check_kernels "$MATRIX"
	run+=" MATRIX=$MATRIX"
	select_kernel "$MATRIX"
fi
[ -z "$foreign" ] || run+=" ARCH=$ARCH"
[ "$CORE" = rust ] || run+=" CORE=$CORE"
[ "$DEBUG" = 1 ] || run+=" DEBUG=$DEBUG"
run+=$other
results=$("$repo/dev/kernel.sh")/selftests/torture
rm -rf "$results"
mkdir -p "$results"

say "torture for $MINUTES min on the core ${CORE/rust/in Rust}"
# The log is judged in the end, and has to be there from its begin.
APPEND="log_buf_len=16M kmemleak=on ${APPEND:-}" TIMEOUT=${TIMEOUT:-$((MINUTES * 60 + 7200))} DMESG=$results/dmesg \
	"$repo/dev/vm.sh" "export MINUTES=$MINUTES SEED=$SEED SLEEPERS=$SLEEPERS FIXED=$FIXES; dev/guest/selftest.sh test-torture.sh" 2>&1 |
	tee "$results/output" || echo "# virtual machine.sh: exit status 1" >>"$results/output"
judge_run "$results/output" "$results/dmesg"
# The last statistics say how much there was to judge.
keep_run "$run" "$(sed -nE 's/^# in all: (.*), allocations.*/\1/p' "$results/output")"
totals
