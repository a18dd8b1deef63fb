# SPDX-License-Identifier: GPL-2.0

import unittest

from series import recipients


class Places(unittest.TestCase):
    def test_outermost_new_directory(self):
        changes = [("A", "tools/livepatch/src/main.rs"), ("A", "tools/livepatch/Makefile"), ("M", "kernel/fork.c"),
                   ("A", "kernel/new.c"), ("M", "MAINTAINERS"), ("A", "new/a/b")]
        self.assertEqual(recipients.places(changes, {"tools", "kernel"}), [
            ("new", "tools/livepatch"), ("changed", "kernel/fork.c"), ("new", "kernel/new.c"),
            ("changed", "MAINTAINERS"), ("new", "new")])


class Options(unittest.TestCase):
    def test_roles(self):
        self.assertEqual(recipients.options(
            "Ada A <ada@example.org> (maintainer:LIVE PATCHING)\n"
            "Bob (B.) B <bob@example.org> (supporter:RUST)\n"
            "Eve <eve@example.org> (reviewer:LIVE PATCHING)\n"
            "Alan <alan@example.org> (maintainer:MEMORY MODEL (LKMM),supporter:X86 (32-BIT AND 64-BIT))\n"
            "x86@kernel.org (maintainer:X86 ARCHITECTURE (32-BIT AND 64-BIT))\n"
            "live-patching@vger.kernel.org (open list:LIVE PATCHING)\n"), [
                "--to=Ada A <ada@example.org>", "--to=Bob (B.) B <bob@example.org>",
                "--cc=Eve <eve@example.org>", "--to=Alan <alan@example.org>", "--to=x86@kernel.org",
                "--cc=live-patching@vger.kernel.org"])
