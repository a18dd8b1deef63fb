#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run upstream's livepatch selftests, unmodified but for one line of functions.sh, and
# this project's, in virtual machines.  Each case is one test.  One more test is that the
# log has no report of the kernel's own checks.  The last line is "N passed, N failed".
#
#   dev/selftest.sh           TESTS='test-livepatch.sh ...', by default all;
#                             LEAVE_OUT='test-oom.sh ...' are not run;
#                             MACHINES=2 at the same time;
#                             LEAKS=0 without kmemleak, in half of the time;
#                             APPEND=nohz_full=1, which test-nohz-full.sh needs;
#                             MAY_SKIP='regex' of reasons for which cases may be skipped
#   dev/selftest.sh --list    print the names of those that would run

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

# Take the scripts of the tree: the build directory may have some that were removed.
available=$(tree_dir)/tools/testing/selftests/livepatch
[ -d "$available" ] || die "there are no selftests in $available" "make kernel CORE=$CORE DEBUG=$DEBUG"
may_skip=${MAY_SKIP:-$arch_may_skip}
if [ "$CORE" = c ]; then
	# The C core has no tracepoints and sends no notifications, its functions do not jump
	# past the handler, and it frees code while tasks are in it.
	LEAVE_OUT="${LEAVE_OUT:-} test-trace.sh test-notify.sh test-jump.sh test-jump-oom.sh test-jump-users.sh"
	LEAVE_OUT+=" test-exiting.sh test-leave.sh test-nohz-full.sh"
	may_skip+="${may_skip:+|}the C core "
fi
for script in ${LEAVE_OUT:-}; do
	[ -f "$available/$script" ] || die "LEAVE_OUT names $script, which is not in $available" "correct the name, or remove it"
done
# A kernel or a foreign architecture may lack something that a script needs.
out=$(kernel_build)
left_out=$arch_left_out$'\n'
if [ "$DEBUG" = 0 ]; then
	left_out+="test-jump-oom.sh|with DEBUG=0, allocations cannot be made to fail"$'\n'
	left_out+="test-oom.sh|the same"$'\n'
fi
[[ ${APPEND:-} == *nohz_full=* ]] ||
	left_out+="test-nohz-full.sh|the machine starts without nohz_full="$'\n'
if [ -n "$foreign" ] && [ -f "$out/vmlinux" ] && [ ! -x "$out/selftests/livepatch/klpctl" ]; then
	left_out+="test-klpctl.sh|there is no klpctl, for want of Rust's standard library"$'\n'
fi
if [ -z "${TESTS:-}" ]; then
	while IFS='|' read -r script why; do
		[[ -n "$script" && " ${LEAVE_OUT:-} " != *" $script "* ]] || continue
		say "left out: $script: $why"
		LEAVE_OUT="${LEAVE_OUT:-} $script"
	done <<<"$left_out"
fi
all_scripts() {
	local script
	for script in "$available"/test-*.sh; do
		script=${script##*/}
		[[ " ${LEAVE_OUT:-} " == *" $script "* ]] || printf '%s ' "$script"
	done
}
read -ra scripts <<<"${TESTS:-$(all_scripts)}"

case ${LEAKS:=1} in
0 | 1) ;;
*) die "LEAKS=$LEAKS: not understood" "use LEAKS=1 or LEAKS=0" ;;
esac
options=log_buf_len=16M
[ "$LEAKS" = 0 ] || options+=" kmemleak=on"

# Each machine takes the next script that no machine has taken.  One thread emulates all
# CPUs of a machine, so this starts one machine for each CPU of the host, at most 2.
machines=${MACHINES:-$(($(nproc) < 2 ? 1 : 2))}
[[ "$machines" =~ ^[1-9]$ ]] || die "MACHINES=$machines: not understood" "a number from 1 to 9"
[ "$machines" -le "${#scripts[@]}" ] || machines=${#scripts[@]}

case ${1:-} in
'') ;;
--list)
	printf '%s\n' "${scripts[@]}"
	exit
	;;
*) die "$1: not understood" "dev/selftest.sh [--list]" ;;
esac
results=$out/selftests/results
rm -rf "$results"
mkdir -p "$results"
mkdir "$results/taken"

# in_vm MACHINE: run scripts in a virtual machine.  The machine ends if a failed script has
# left livepatches in it, and then another one takes its place.  The judge reads the whole
# log, which is long after some thousand failed attempts.
in_vm() {
	local output=$results/output-$1 boot=0
	: >"$output"
	while [ "$(find "$results/taken" -mindepth 1 | wc -l)" -lt ${#scripts[@]} ]; do
		boot=$((boot + 1))
		APPEND="$options ${APPEND:-}" TIMEOUT=${TIMEOUT:-14400} DMESG=$results/dmesg-$1-$boot \
			"$repo/dev/vm.sh" "FIXED=$FIXES TAKEN=$results/taken dev/guest/selftest.sh ${scripts[*]}" >>"$output" 2>&1 && continue
		echo "# virtual machine.sh: exit status 1" >>"$output"
		break
	done
}
for ((i = 1; i <= machines; i++)); do
	in_vm "$i" &
done
say "running ${scripts[*]}"
while [ -n "$(jobs -rp)" ]; do
	sleep 15
	say "$(cat "$results"/output-* | grep -c ' \.\.\. ok$') cases are done"
done
wait
cat "$results"/output-* | tee "$results/output"
# Without a log no machine has run, and the judge says so.
cat "$results"/dmesg-* >"$results/dmesg" || true
MAY_SKIP=$may_skip "$repo/dev/lib/judge.sh" "$results/output" "$results/dmesg"
