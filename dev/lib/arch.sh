# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # its variables are for the scripts that source it
# shellcheck disable=SC2154 # lib.sh sets repo
#
# The architectures that kernels are built for, and all facts about them that the
# scripts need.  lib.sh sources this file; the kernel's options of an architecture
# are in dev/config/ARCH.config.
#
# Kernels for x86_64 are built and run with this machine's own tools and files.
# All others are foreign: they need a cross-compiler, and a root file system for
# the guest (dev/lib/root.sh).

architectures='x86_64 arm64 s390 powerpc'

# image          the kernel that QEMU boots, in the build directory
# foreign        1 if this machine's programs do not run there
# cross          the prefix of the cross-compiler
# machine        QEMU, the machine and its CPU
# virtio         the bus of its devices, at the end of QEMU's names for them
# console        the kernel's name of the first serial line
# debian         Debian's name of the architecture
# rust_target    rustc's name of it, for programs
# arch_kunit     kunit.py's name of it, if that is another
# arch_llvm      the value of LLVM, if gcc cannot compile kernels for it
# arch_qemu      the version of QEMU that it needs, if not any
# arch_fixes     1 if live patching needs a fix of series/fixes there
# arch_needs     the items that dev/toolchain.sh requires, in its notation
# arch_left_out  selftests that cannot run there | the reason
# arch_may_skip  reasons for which cases are skipped there, an extended regular expression
foreign=1 cross='' machine=() virtio='' console='' debian='' rust_target=''
arch_kunit='' arch_llvm='' arch_qemu='' arch_fixes='' arch_needs='' arch_left_out='' arch_may_skip=''

no_jumps='test-jump.sh|functions jump to their replacements on x86_64 alone
test-jump-oom.sh|the same
test-jump-users.sh|the same'
# Only the unwinder ORC, of x86_64 and loongarch, can.  test_klp_rust_patch replaces a function
# that calls ftrace in assembly.
x86_alone='the unwinder cannot pass the frame of an interrupt|which is for x86-64$'
no_symbols='test-rust-symbols.sh|objtool makes livepatch relocations for x86_64 alone'

: "${ARCH:=x86_64}"
case $ARCH in
x86_64)
	foreign=
	image=arch/x86/boot/bzImage
	arch_needs='
qemu-system-x86_64|qemu-system-x86|the virtual machine
'
	;;
arm64)
	image=arch/arm64/boot/Image
	cross=aarch64-linux-gnu-
	machine=(qemu-system-aarch64 -machine virt -cpu cortex-a57)
	virtio=device
	console=ttyAMA0
	debian=arm64
	rust_target=aarch64-unknown-linux-gnu
	arch_needs='
aarch64-linux-gnu-gcc|gcc-aarch64-linux-gnu|compiles the kernel
cross:|libc6-dev-arm64-cross|compiles test programs
qemu-system-aarch64|qemu-system-arm|the virtual machine
'
	arch_left_out="
test-kprobe.sh|arm64 has no kprobes that use ftrace
test-probed.sh|the same
$no_jumps
$no_symbols
"
	arch_may_skip=$x86_alone
	;;
s390)
	image=arch/s390/boot/bzImage
	cross=s390x-linux-gnu-
	# Without -nodefaults, QEMU adds its own console.  "sclpconsole" would be a terminal for
	# which this kernel has no driver.
	machine=(qemu-system-s390x -machine s390-ccw-virtio -cpu max -nodefaults
		-chardev 'stdio,id=console' -device 'sclplmconsole,chardev=console')
	virtio=ccw
	# Older ones go on with the code that they have translated when mvc, and so memcpy(),
	# has put other code in its place: a module then runs code of another one that was
	# unloaded.
	arch_qemu=8.2
	# kprobes undo livepatches that are newer.
	arch_fixes=1
	console=ttyS0
	debian=s390x
	rust_target=s390x-unknown-linux-gnu
	arch_needs='
s390x-linux-gnu-gcc|gcc-s390x-linux-gnu|compiles the kernel
cross:|libc6-dev-s390x-cross|compiles test programs
qemu-system-s390x|qemu-system-misc|the virtual machine
'
	arch_left_out="
$no_jumps
$no_symbols
"
	arch_may_skip=$x86_alone
	;;
powerpc)
	# Little-endian, 64 bits.
	image=vmlinux
	cross=powerpc64le-linux-gnu-
	machine=(qemu-system-ppc64 -machine pseries -cpu power9)
	virtio=pci
	console=hvc0
	debian=ppc64el
	rust_target=powerpc64le-unknown-linux-gnu
	arch_kunit=powerpcle
	# bindgen refuses what the headers have for gcc, and clang 19 has no
	# -fpatchable-function-entry for powerpc.
	arch_llvm=newest
	# warn_on!() needs WARN_ON().
	arch_fixes=1
	arch_needs='
powerpc64le-linux-gnu-gcc|gcc-powerpc64le-linux-gnu|compiles programs
cross:|libc6-dev-ppc64el-cross|compiles test programs
qemu-system-ppc64|qemu-system-ppc|the virtual machine
'
	arch_left_out="
test-direct.sh|test_klp_direct has no trampoline for powerpc
$no_jumps
$no_symbols
"
	arch_may_skip="$x86_alone|powerpc has no sibling calls between modules"
	;;
*) die "ARCH=$ARCH: no such architecture here" "use one of: $architectures" ;;
esac

# LLVM=newest is the clang of dev/lib/clang.sh.  The kernel's make knows other values.
if [ -n "$arch_llvm" ]; then
	export LLVM=${LLVM:-$arch_llvm}
fi

# arch_fragments CORE: print the fragments of the kernel's configuration for a core,
# without the one that DEBUG selects.
arch_fragments() {
	local name
	for name in common "$ARCH" "$1" "$1-$ARCH"; do
		[ ! -f "$repo/dev/config/$name.config" ] || printf '%s\n' "$repo/dev/config/$name.config"
	done
}

# native_only: for commands that need this machine's own architecture.
native_only() {
	[ -z "$foreign" ] || die "ARCH=$ARCH: $(basename "$0") is for x86_64 alone" "leave ARCH unset"
}

# The kernel's make gets a foreign ARCH in its command line.  In other makefiles the
# variable has another meaning.
export ARCH
if [ -z "$foreign" ]; then
	export -n ARCH
fi
