#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run upstream's livepatch selftests, unmodified, and this project's, in the
# virtual machine: TESTS='test-livepatch.sh ...', by default all.  Each case is
# one test; so is a log without a report of the kernel's own checks.
# The last line is "N passed, N failed".

# shellcheck source=dev/lib.sh
. "$(dirname "$0")/lib.sh"

out=$(kernel_build)
scripts=${TESTS:-$(cd "$out/selftests/livepatch" && echo test-*.sh)}
results=$out/selftests/results
rm -rf "$results"
mkdir -p "$results"

# shellcheck disable=SC2016 # the guest's variables
guest='
cd "$KBUILD/selftests/livepatch" || exit 1
for script in '"$scripts"'; do
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
	cat /sys/kernel/debug/kmemleak >"$SHARE/kmemleak"
	sed "s/^/# kmemleak: /" "$SHARE/kmemleak"
fi
'
TIMEOUT=${TIMEOUT:-1800} DMESG=$results/dmesg "$repo/dev/vm.sh" "$guest" | tee "$results/output" ||
	die "the virtual machine failed" "see $results"

"$repo/dev/judge.sh" "$results/output" "$results/dmesg"
