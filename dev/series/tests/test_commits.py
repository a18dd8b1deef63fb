# SPDX-License-Identifier: GPL-2.0

import os
import tempfile
import unittest

from series import commits
from series.messages import Problem

TEXT = """livepatch: Do something

Because.

Files:
# a comment

kernel/*
series/diffs/kernel/*
"""


class Parse(unittest.TestCase):
    def test_message_and_patterns(self):
        commit = commits.parse("01-one", TEXT)
        self.assertEqual(commit.message, "livepatch: Do something\n\nBecause.\n\n")
        self.assertEqual(commit.patterns, ["kernel/*", "series/diffs/kernel/*"])

    def test_no_files(self):
        with self.assertRaisesRegex(Problem, "01-one does not say which files"):
            commits.parse("01-one", "livepatch: Do something\n\nNo Files: here\n")

    def test_read_in_order(self):
        with tempfile.TemporaryDirectory() as directory:
            for name in "10-b", "09-a", ".hidden":
                with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                    file.write("Subject\n\nFiles:\n")
            self.assertEqual([commit.name for commit in commits.read(directory)], ["09-a", "10-b"])


class Owner(unittest.TestCase):
    def setUp(self):
        self.commits = [commits.Commit("01-one", "", ["kernel/*", "lib/*.rs"]),
                        commits.Commit("02-two", "", ["kernel/livepatch/*", "lib/a*.h"]),
                        commits.Commit("03-three", "", ["kernel/livepatch/core.c", "lib/*b.h"])]

    def test_star_matches_slashes(self):
        self.assertEqual(commits.owner(self.commits, "kernel/sched/core.c"), "01-one")

    def test_longest_pattern_wins(self):
        self.assertEqual(commits.owner(self.commits, "kernel/livepatch/patch.c"), "02-two")
        self.assertEqual(commits.owner(self.commits, "kernel/livepatch/core.c"), "03-three")

    def test_none(self):
        with self.assertRaisesRegex(Problem, "fs/file.c belongs to no commit"):
            commits.owner(self.commits, "fs/file.c")

    def test_two(self):
        with self.assertRaisesRegex(Problem, "lib/ab.h belongs to series/commits/02-two and to series/commits/03-three"):
            commits.owner(self.commits, "lib/ab.h")

    def test_two_patterns_of_one_commit(self):
        one = [commits.Commit("01-one", "", ["a*", "*b"])]
        self.assertEqual(commits.owner(one, "ab"), "01-one")

    def test_a_tie_ends_where_a_longer_pattern_matches(self):
        three = self.commits + [commits.Commit("04-four", "", ["lib/aab.h"])]
        self.assertEqual(commits.owner(three, "lib/aab.h"), "04-four")

    def test_distribute_keeps_the_order(self):
        files = ["kernel/b.c", "kernel/livepatch/a.c", "kernel/a.c"]
        self.assertEqual(commits.distribute(self.commits, files),
                         {"01-one": ["kernel/b.c", "kernel/a.c"], "02-two": ["kernel/livepatch/a.c"], "03-three": []})


class DiffTarget(unittest.TestCase):
    def test_both_names(self):
        self.assertEqual(commits.diff_target("series/diffs/MAINTAINERS@1-rust.diff"), "MAINTAINERS")
        self.assertEqual(commits.diff_target("series/diffs/kernel/fork.c.diff"), "kernel/fork.c")
        self.assertEqual(commits.diff_target("series/fixes/diffs/kernel/core.c@1-barrier.diff"), "kernel/core.c")

    def test_what_is_a_diff(self):
        self.assertTrue(commits.is_diff("series/fixes/diffs/kernel/core.c.diff"))
        self.assertFalse(commits.is_diff("kernel/core.c"))
