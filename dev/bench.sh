#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measure both cores in instructions, at the same time: the kernels differ in
# CONFIG_LIVEPATCH_RUST alone, the modules are the same, and each kernel has one
# emulated CPU with a clock that counts instructions.  Prints one table, and writes it
# and plots of it to Documentation/livepatch/bench/.
#
#   dev/bench.sh    BENCH='calls functions jumps tasks coming end shadow klpctl clock load' TIMEOUT=14400
#
# BENCH selects a part of the measurements for a trial: the script writes only the
# results of a whole run.  BENCH=profile shows where the instructions are spent.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
native_only

export DEBUG=0
all='calls functions jumps tasks coming end shadow klpctl clock load'
what=${BENCH:-$all}
for part in $what; do
	[[ " $all profile " == *" $part "* ]] || die "BENCH=$what: there is no '$part' to measure" "use some of: $all profile"
done
results=$(work_dir)/bench
rm -rf "$results"
mkdir -p "$results"

for core in c rust; do
	out=$(CORE=$core kernel_build)
	CORE=$core "$repo/dev/kernel.sh" >/dev/null
	set_kmake
	rsync -a "$(tree_dir)/tools/testing/livepatch/bench" "$out/"
	run_logged "building the modules for $(basename "$out")" "$out/log/bench" \
		"${kmake[@]}" -C "$out/bench" KDIR="$out"
	grep -v LIVEPATCH_RUST "$out/.config" >"$results/$core.config"
done
cmp -s "$results/c.config" "$results/rust.config" ||
	die "the two kernels differ in more than CONFIG_LIVEPATCH_RUST" \
		"$(diff "$results/c.config" "$results/rust.config" | head -n 20)"

if [ "$what" = "$all" ] && ! "$venv/bin/python" -c 'import matplotlib' 2>/dev/null; then
	say "missing: matplotlib (draws the plots)"
	run_logged "installing matplotlib" "$cache/log/matplotlib.log" \
		"$venv/bin/pip" install --disable-pip-version-check matplotlib==3.10.7
fi

# A lane is one machine with a core and its work.  All lanes run at the same time.
lanes=()
machines=()
trap 'kill "${machines[@]}" 2>/dev/null || true' EXIT

# start CORE PART COMMAND: add a lane, with a machine that runs COMMAND.
start() {
	local i=${#lanes[@]}
	lanes+=("$1: $2")
	CORE=$1 MEM=2G TIMEOUT=${TIMEOUT:-14400} "$repo/dev/vm.sh" "$3" >"$results/$i" 2>&1 </dev/null &
	machines+=($!)
}

# finish: wait for all lanes, and show their progress.
finish() {
	local i core begin=$SECONDS
	while [ -n "$(jobs -rp)" ]; do
		sleep 1
		for i in "${!lanes[@]}"; do
			if ! kill -0 "${machines[i]}" 2>/dev/null && ! wait "${machines[i]}"; then
				tail -n 40 "$results/$i" >&2
				die "measuring ${lanes[i]} failed" "what was measured: $results/$i"
			fi
			[ $(((SECONDS - begin) % 15)) != 14 ] ||
				say "${lanes[i]%%:*}: $(grep -av '^figure' "$results/$i" | tail -n 1 | tr -d '\r' | cut -c 1-70)"
		done
	done
	for i in "${!lanes[@]}"; do
		core=${lanes[i]%%:*}
		[ "$(grep -av '^figure' "$results/$i" | tail -n 1)" = measured ] ||
			die "measuring ${lanes[i]} did not end as it should" "what was measured: $results/$i"
		grep -av '^measured$' "$results/$i" >>"$results/$core" || true
		grep -aE '^(where instructions go| +[0-9.]+ %)' "$results/$i" | sed "s/^where/$core core: where/" || true
	done
	rm -f "$results"/[0-9]*
	lanes=() machines=()
}

begin=$SECONDS

# counting COMMAND...: run it for a machine that counts instructions.
counting() {
	CPUS=1 QEMU_OPTS='-icount shift=0,sleep=off' APPEND=slab_nomerge "$@"
}

# The figures of a machine that counts instructions do not depend on other machines.
# The C core takes most of the time, and gets two machines.
count_on() {
	[ -z "$2" ] || counting start "$1" "$2" "BENCH='$2' \$KBUILD/bench/measure.sh"
}
counted=$(tr ' ' '\n' <<<"$what" | grep -vxE 'klpctl|clock|load' | xargs) || true
rest=$(tr ' ' '\n' <<<"$counted" | grep -vx functions | xargs) || true
if [ -n "$counted" ]; then
	say "measuring both cores (log: $results/)"
	count_on rust "$counted"
	count_on c "$rest"
	[ "$rest" = "$counted" ] || count_on c functions
	finish
fi

# By a real clock, one core was faster in one run and the other in the next: the machines come
# to this at different times.
if [[ " $what " == *" klpctl "* ]]; then
	say "measuring klpctl on both cores"
	counting start c klpctl dev/guest/bench-klpctl.sh
	counting start rust klpctl dev/guest/bench-klpctl.sh
	finish
fi

# These figures are those of a real clock.  Both cores are measured at the same time,
# so that other work of the host slows both.  Each machine has a second CPU, on which
# tasks can run while the core looks at others.
if [[ " $what " == *" clock "* ]]; then
	scripts=$(cd "$(tree_dir)/tools/testing/selftests/livepatch" && for script in test-*.sh; do
		[ -e "$repo/tools/testing/selftests/livepatch/$script" ] || printf '%s ' "$script"
	done)
	say "measuring by the clock: upstream's selftests"
	start c clock "dev/guest/bench-clock.sh $scripts"
	start rust clock "dev/guest/bench-clock.sh $scripts"
	finish
fi

# All CPUs of the machine are busy, and all but one have no tick.  One thread of QEMU
# emulates them in turns, which end when a CPU sleeps or relaxes.  So the loops of the
# benchmark relax.  (With a clock that counts instructions, a machine with only busy CPUs
# made no progress.)
if [[ " $what " == *" load "* ]]; then
	say "measuring by the clock: transitions on a busy machine"
	export CPUS=4 APPEND=nohz_full=1-3
	start c load dev/guest/bench-load.sh
	start rust load dev/guest/bench-load.sh
	finish
	unset CPUS APPEND
fi

report=("$venv/bin/python" "$repo/tools/testing/livepatch/bench/report.py" "$results/c" "$results/rust")
if [ "$what" = "$all" ]; then
	report+=(--write "$repo/$figures"
		--meta "kernel=Linux $(cat "$(CORE=c kernel_build)/include/config/kernel.release")"
		--meta "configuration=sha256:$(sha256sum <"$results/c.config" | cut -c 1-16)"
		--meta "commit=$(commit_id)"
		--meta "compiler=$(gcc --version | head -n 1), $("$(find_rustc)" --version)"
		--meta "emulator=$(qemu-system-x86_64 --version | head -n 1)")
fi
"${report[@]}"
[ "$what" != "$all" ] || "$repo/dev/lib/figures.sh" --write
say "measured in $(((SECONDS - begin) / 60)) min"
