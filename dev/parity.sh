#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compare the two cores, seen from outside: their builds, and a tour of every feature
# and every error (dev/guest/parity.sh), which runs on each core.  After each step, the
# error, the kernel's messages, sysfs, ftrace's redirections, the modules and the effect
# must be the same.  The script shows a step that differs as a diff.  The last line is
# "N passed, N failed".
#
#   dev/parity.sh    TOURS='...' CORES='...'
#
# TOURS selects parts of the tour; their names are in dev/guest/parity.sh.  CORES='rust'
# runs the tour on one core and compares it with the last recording of the other, which
# saves time after a change to one core.
#
# The tour leaves out steps in which the cores are meant to differ, such as a pre-patch
# callback that returns a positive number: see
# Documentation/livepatch/rust-core-differences.rst.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
native_only

cores=${CORES:-c rust}
[[ "$cores" =~ ^((c|rust)( |$))+$ ]] || die "CORES=$CORES: not understood" "use CORES='rust', CORES='c' or leave it unset"
declare -A build
for core in c rust; do
	build[$core]=$(CORE=$core "$repo/dev/kernel.sh")
done

# compare PART [ARGUMENT...]: print the differences.  The counts follow at the end.
compare() {
	local log=${build[rust]}/log/parity-$1
	"$repo/dev/parity/compare.py" "$1" "${build[c]}" "${build[rust]}" "${@:2}" >"$log" || true
	sed '$d' "$log"
}

say "comparing what is built"
compare builds "$(tree_dir)"

# A static function of which each of the kernels has two.
ambiguous=$(
	for file in "${build[c]}/System.map" "${build[rust]}/System.map"; do
		awk '{ all[$3]++ } tolower($2) == "t" && $3 ~ /^[a-z][a-z0-9_]*$/ { funcs[$3]++ }
		     END { for (name in funcs) if (funcs[name] == 2 && all[name] == 2) print name }' "$file"
	done | sort | uniq -d | head -n 1
)
[ -n "$ambiguous" ] || die "the kernels have no two functions of the same name"

for core in $cores; do
	"$repo/dev/parity/modules.sh" "${build[$core]}" "$ambiguous"
	say "touring with the core in ${core^}"
	CORE=$core TIMEOUT=${TIMEOUT:-14400} DMESG=${build[$core]}/parity/dmesg \
		"$repo/dev/vm.sh" "AMBIGUOUS=$ambiguous TOURS='${TOURS:-}' dev/guest/parity.sh" | sed -u "s/^/$core: /" ||
		say "the tour with the core in ${core^} ended early"
done

compare tours

for what in builds tours; do
	count_suite "${build[rust]}/log/parity-$what" || count 0 1
done
[ -n "${TOURS:-}${CORES:-}" ] || keep_run "make parity"
totals
