#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the KUnit tests through the kernel's own kunit.py, on KUNIT_ARCH=um|ARCH.  By
# default, that is UML, or ARCH if it is foreign.  On all but UML, the core is built in
# as well.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

arch=${KUNIT_ARCH:-${foreign:+$ARCH}}
arch=${arch:-um}
case $arch in
um | "$ARCH") ;;
*) die "KUNIT_ARCH=$arch: not known here" \
	"use KUNIT_ARCH=um or KUNIT_ARCH=$ARCH, with ARCH one of: $architectures" ;;
esac
out=$(build_dir "kunit-$arch")
"$repo/dev/toolchain.sh"
take_turns "$(work_dir)"
tree=$("$repo/dev/tree.sh")
set_kmake
mkdir -p "$out/log"

args=(--kunitconfig="$tree/kernel/livepatch" --build_dir="$out" --jobs="$(nproc)")
for variable in "${kmake[@]}"; do
	# kunit.py sets these two itself, and UML needs other values.
	case $variable in ARCH=* | CROSS_COMPILE=*) continue ;; esac
	case $variable in *=*) args+=(--make_options="$variable") ;; esac
done
kunit=("$tree/tools/testing/kunit/kunit.py" run "${args[@]}")
if [ "$arch" != um ]; then
	args=()
	while IFS= read -r option; do
		args+=(--kconfig_add="$option")
	done <"$repo/dev/config/kunit.config"
	kunit+=(--arch="${arch_kunit:-$arch}" ${cross:+--cross_compile="$cross"} "${args[@]}")
	# kunit.py would use /dev/kvm even if the CPU has no KVM, and hang: hide the file.
	if [ -e /dev/kvm ] && ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
		kunit=(unshare -m sh -c 'mount --bind /dev/null /dev/kvm && exec "$@"' sh "${kunit[@]}")
	fi
fi

what="KUnit on $arch"
[ -f "$out/vmlinux" ] || what+=", from nothing (about 5 min on 2 cores)"
# --timeout ends a kernel that hangs, and timeout(1) ends a build that hangs.
run_logged "$what" "$out/log/kunit" timeout 14400 "${kunit[@]}" --timeout=3600
# Show the tests, and count them.  The script has checked kunit.py's exit status above.
sed 's/\x1b\[[0-9;]*m//g' "$out/log/kunit" | grep -E '\[(PASSED|FAILED|CRASHED)\]|Testing complete' || true
count_kunit "$out/log/kunit"
totals
