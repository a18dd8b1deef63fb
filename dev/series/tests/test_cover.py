# SPDX-License-Identifier: GPL-2.0

import unittest

from series import cover
from series.messages import Problem

PAGE = """Title
=====

Before
------

Something.

What differs from the C core
----------------------------

Seen from outside, ``these`` things,
and no others:

- The first is long enough to be filled into more than one line of at most seventy
  columns, see :doc:`tracepoints`.

- The second.

  Its second paragraph.

After
-----

Not this.
"""


class Section(unittest.TestCase):
    def test_ends_before_the_next_title(self):
        lines = cover.section(PAGE, cover.DIFFERENCES)
        self.assertEqual(lines[:2], ["", "Seen from outside, ``these`` things,"])
        self.assertEqual(lines[-2:], ["  Its second paragraph.", ""])

    def test_last(self):
        self.assertEqual(cover.section(PAGE, "After"), ["", "Not this."])

    def test_none(self):
        with self.assertRaisesRegex(Problem, "no section 'Elsewhere'"):
            cover.section(PAGE, "Elsewhere")


class Plain(unittest.TestCase):
    def test_paragraph_and_items(self):
        self.assertEqual(cover.plain(cover.section(PAGE, cover.DIFFERENCES)), [
            "Seen from outside, these things, and no others:",
            "",
            "- The first is long enough to be filled into more than one line of",
            "  at most seventy columns, see Documentation/livepatch/tracepoints.rst.",
            "",
            "- The second. Its second paragraph.",
        ])

    def test_hang_leaves_the_paragraph_before_the_list(self):
        self.assertEqual(cover.hang(["a", "b", "", "- c", "d", "", "- e"]), ["a", "b", "", "- c", "  d", "", "- e"])


class Changelog(unittest.TestCase):
    TEXT = "# How to write this.\nChanges in v3:\n- Best.\n\nChanges in v2:\n- Better.\n"

    def test_newest_first(self):
        self.assertEqual(cover.changelog(self.TEXT, 3), ["Changes in v3:", "- Best.", "", "Changes in v2:", "- Better."])

    def test_earlier_version(self):
        self.assertEqual(cover.changelog(self.TEXT, 2), ["Changes in v2:", "- Better."])

    def test_missing(self):
        with self.assertRaisesRegex(Problem, "does not say what changed in v4"):
            cover.changelog(self.TEXT, 4)


class Results(unittest.TestCase):
    README = """# Title
<!-- long runs write from here -->
| command | result | day | commit |
|---|---|---|---|
| `make one` | has not run | | |
| `make two MINUTES=120` | 1 passed, 0 failed; and a detail so long that it is filled into lines | 2026-11-28 | c2fabf |
<!-- to here -->
<!-- make matrix writes from here -->
| kernel | | passed, failed | day | commit |
|---|---|---|---|---|
| up | without SMP | 473 passed, 0 failed | 2026-11-28 | c2fabf |
<!-- to here -->
"""

    def test_runs(self):
        self.assertEqual(cover.results(self.README, "long runs write"), [
            "  make one",
            "      has not run",
            "  make two MINUTES=120",
            "      1 passed, 0 failed; and a detail so long that it is filled into",
            "      lines, 2026-11-28",
        ])

    def test_kernels(self):
        self.assertEqual(cover.results(self.README, "make matrix writes"), [
            "  up: without SMP",
            "      473 passed, 0 failed, 2026-11-28",
        ])

    def test_none(self):
        with self.assertRaisesRegex(Problem, "README.md lacks the line '<!-- make tea from here -->'"):
            cover.results(self.README, "make tea")


class Measured(unittest.TestCase):
    def test_table_and_context(self):
        summary = "| | C | Rust | C : Rust |\n|---|---:|---:|---:|\n| enable | 6,501 M | 19.0 M | 342 |\n"
        table = "enable: all of it\n\nkernel: Linux 7.3.4\ncommit: 0123abc\n"
        self.assertEqual(cover.measured(summary, table), [
            "  " + " " * 50 + "         C      Rust C : Rust",
            "  enable" + " " * 44 + "   6,501 M    19.0 M      342",
            "",
            "  kernel: Linux 7.3.4",
            "  commit: 0123abc",
        ])

    def test_commit(self):
        self.assertEqual(cover.commit_of("kernel: x\ncommit: 0123abc and changes to it\n"), "0123abc")
        self.assertEqual(cover.commit_of("commit: unknown\n"), "")
        self.assertEqual(cover.commit_of(""), "")


class Fill(unittest.TestCase):
    def test_lines_and_gaps(self):
        template = "One\n\n@tools@\n\n@tests@\n@unknown@\nmail@example.org\n"
        values = {"tools": lambda: [], "tests": lambda: ["a", "", "", "b"], "bench": self.fail}
        self.assertEqual(cover.fill(template, values),
                         "One\n\na\n\nb\n@unknown@\nmail@example.org\n")
