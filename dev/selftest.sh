#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run upstream's livepatch selftests, unmodified, and this project's, in the
# virtual machine: TESTS='test-livepatch.sh ...', by default all.  Each case is
# one test; so is a log without a report of the kernel's own checks.
# The last line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

out=$(kernel_build)
# all_scripts: those that there is something for to test.
all_scripts() {
	cd "$out/selftests/livepatch" || return
	for script in test-*.sh; do
		# The C core has no tracepoints, and frees code that tasks are in.
		case "${CORE:-rust} $script" in "c test-trace.sh" | "c test-exiting.sh" | "c test-leave.sh") continue ;; esac
		printf '%s ' "$script"
	done
}
read -ra scripts <<<"${TESTS:-$(all_scripts)}"
results=$out/selftests/results
rm -rf "$results"
mkdir -p "$results"
: >"$results/output"

# in_vm SCRIPT...: run scripts in a virtual machine, and keep what it says.
in_vm() {
	# shellcheck disable=SC2016 # the guest's variables
	local guest='
cd "$KBUILD/selftests/livepatch" || exit 1
export KLP_SAMPLES=$KBUILD/samples/livepatch
for script in '"$*"'; do
	echo "# $script"
	./"$script" </dev/null 2>&1
	echo "# $script: exit status $?"
done
if [ -w /sys/kernel/debug/kmemleak ]; then
	# An object is only reported from its second scan on, and 5 s after its birth.
	sleep 6
	for scan in 1 2; do
		echo scan >/sys/kernel/debug/kmemleak
	done
	sed "s/^/# kmemleak: /" /sys/kernel/debug/kmemleak
fi
'
	# All of the log is judged, and some thousand failed attempts say a lot.
	APPEND="log_buf_len=16M ${APPEND:-}" TIMEOUT=${TIMEOUT:-14400} DMESG=$results/dmesg \
		"$repo/dev/vm.sh" "$guest" >"$results/output" 2>&1 ||
		echo "# virtual machine.sh: exit status 1" >>"$results/output"
}

# One machine: two would take each other's cores, and slow tasks look like stuck ones.
in_vm "${scripts[@]}" &
vm=$!
say "running ${scripts[*]}"
while kill -0 "$vm" 2>/dev/null; do
	sleep 15
	say "$(grep -c ' \.\.\. ok$' "$results/output") cases are done"
done
wait

cat "$results/output"
"$repo/dev/lib/judge.sh" "$results/output" "$results/dmesg"
