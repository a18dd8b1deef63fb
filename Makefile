# SPDX-License-Identifier: GPL-2.0
#
# The commands.  make NAME runs dev/NAME.sh; README.md describes their output.
#
#   KDIR=path     a Linux 7.3 or 7.2 source tree or git clone to use as the base
#   O=path        where to build
#   CORE=rust|c   which core of live patching
#   ARCH=name     which architecture: x86_64, arm64, s390 or powerpc
#   DEBUG=1|0     with the kernel's own checks, or as for figures

MAKEFLAGS += --no-print-directory
export BASE CONFIG KDIR O N ARCH CORE DEBUG FIXES SERIES MATRIX PATCH NAME REPLACE LOAD SHOW CMD CPUS MEM QEMU_OPTS TESTS LEAVE_OUT MAY_SKIP LEAKS TOURS KUNIT_ARCH TIMEOUT MINUTES SEED SLEEPERS SUITES CAPTURE COUNT ONLY BEYOND PARSERS DEEP MUTANTS BENCH SIGNOFF ASSISTED_BY REROLL BISECT

help:
	@dev/help.sh

demo:
	@dev/demo.sh

test:
	@dev/test.sh

toolchain:
	@dev/toolchain.sh

tree: toolchain
	@dev/tree.sh

kernel:
	@dev/kernel.sh

vm:
	@dev/vm.sh "$$CMD"

kunit:
	@dev/kunit.sh

selftest:
	@dev/kernel.sh >/dev/null
	@dev/selftest.sh

torture:
	@dev/torture.sh

fuzz:
	@dev/fuzz.sh

boot:
	@dev/kernel.sh >/dev/null
	@dev/boot.sh

distribution: toolchain
	@dev/distribution.sh

machine:
	@dev/kernel.sh >/dev/null
	@dev/machine.sh

parity:
	@dev/parity.sh

userland:
	@dev/userland.sh

mutants:
	@dev/mutants.sh

livepatch:
	@dev/livepatch.sh

test-klp-build:
	@dev/test-klp-build.sh

test-livepatches:
	@dev/test-livepatches.sh

test-fixes:
	@dev/test-fixes.sh

upstream:
	@dev/upstream.sh

litmus:
	@dev/litmus.sh

matrix:
	@dev/matrix.sh

randconfig:
	@dev/randconfig.sh

package:
	@dev/package.sh

package-kernel:
	@dev/package-kernel.sh

test-package-kernel:
	@dev/test-package-kernel.sh

style: toolchain
	@dev/style.sh

bench:
	@dev/bench.sh

series: toolchain
	@dev/series.sh

series-check: toolchain
	@dev/series-check.sh

.PHONY: help demo test package package-kernel test-package-kernel livepatch toolchain tree kernel vm kunit selftest torture fuzz boot distribution machine parity test-klp-build test-livepatches test-fixes upstream litmus matrix randconfig style userland mutants series series-check bench
