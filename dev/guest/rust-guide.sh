#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Follow Documentation/livepatch/rust-api.rst inside the virtual machine.  Each command of
# the page is a case.
#
#   dev/guest/rust-guide.sh BIN
#
# BIN is the directory of the compiler: the page runs make, and does not select a compiler.

export PATH=$KBUILD/selftests/livepatch:$1:$PATH
# The page takes the build directory from this variable.
export KDIR=$KBUILD
# Use the guest's own /tmp: make compares times, and the host has another clock.
mkdir /tmp/guide || exit 1
dev/guest/page.py Documentation/livepatch/rust-api.rst /tmp/guide
