#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# List the commands: make NAME runs dev/NAME.sh.

cat <<'end'
make demo         from nothing to a running kernel that patches itself
make test         every test that CI runs; the last line counts them
make kernel       build the kernel and its modules; the last line is the build directory
make vm CMD='..'  boot that kernel and run a command in it as root
make kunit        KUnit tests, KUNIT_ARCH=um (default) or x86_64, or those of ARCH
make selftest     livepatch selftests in the virtual machine, TESTS='..'
make torture      everything at once, at random: MINUTES=10 SEED=n SLEEPERS=3000
make fuzz         mutated livepatches, and the parsers: COUNT=10000 SEED=n MACHINES=4
make machine      does the virtual machine survive code that changes while it runs?
make parity       both cores make one tour and are compared, TOURS='..' CORES='..'
make userland     the rules, explored and tested in user space; DEEP=1 for more
make mutants      breaks the rules, one at a time: is each noticed?  Half an hour
make livepatch    source patches become a livepatch: PATCH='fix.diff ..' LOAD=1 SHOW='..' KERNEL=release
make test-klp-build  upstream's klp-build turns source patches into a livepatch that works
make test-livepatches  bugs and their fixes, as livepatches: TESTS='..'; half an hour
make test-fixes   the core in C with the fixes of SERIES=fixes: all selftests and more
make upstream     upstream's tests of ftrace, and of BPF with a livepatch, TESTS='..'
make litmus       the barriers, by the kernel's memory model; a minute
make matrix       kernels of other compilers and configurations, MATRIX='..'; an hour each
make boot         machines with systemd, two of which crash: klpctl loads at boot
make randconfig   the livepatch directories in N=20 random configurations, SEED=n; 3 min each
make distribution  klpctl on the distribution's own kernels, SUITES='..' CAPTURE=1
make package      klpctl as .deb and .rpm, for every distribution
make package-kernel  the kernel, its headers and klpctl as .deb, for a real machine: CONFIG=debian
make test-package-kernel  the packages, installed in a virtual machine; livepatches built there
make style        formatting, lints and documentation checks
make bench        both cores side by side, in instructions (half an hour)
make series       the patch series, ready for git send-email; SIGNOFF=1 REROLL=2
                  SERIES=fixes: fixes for the core in C, powerpc, s390 and x86; FIXES=1 builds them in
make series-check  what its recipients' tools say of it; BISECT=1 builds every commit
make toolchain    install what is missing
make tree         compose the kernel tree; prints its path

Variables: BASE=7.3|7.2 KDIR=path O=path CORE=rust|c DEBUG=1|0 CPUS=2 MEM=2G QEMU_OPTS='..' TIMEOUT=s
ARCH=x86_64|arm64|s390|powerpc selects the architecture for toolchain, kernel, vm, selftest,
machine, kunit, torture, randconfig and demo: a cross-compiler builds the kernel, QEMU emulates it
LLVM=-19|newest compiles the kernel with clang; newest is fetched, and what powerpc takes by itself
end
