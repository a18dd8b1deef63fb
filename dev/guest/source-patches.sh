#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Follow the page about source patches inside the virtual machine, from the finished
# livepatch on.  Each command is a case.
#
#   dev/guest/source-patches.sh DIRECTORY PAGE    DIRECTORY has the livepatches

export PATH=$KBUILD/selftests/livepatch:$PATH
dev/guest/page.py "$2" "$1" --section "The livepatch" --section "Its successor" --quiet
