# SPDX-License-Identifier: GPL-2.0

import os
import tempfile
import unittest

from series.git import Git
from series.messages import Problem
from series.writer import identity, mail_files


class Run(unittest.TestCase):
    def test_error_names_command_and_place(self):
        with self.assertRaisesRegex(Problem, r"git rev-parse HEAD failed in /\n  fatal: "):
            Git("/").at(GIT_DIR="/nonexistent")("rev-parse", "HEAD")

    def test_variables(self):
        git = Git("/", {"A": "1", "B": "2"}).at(B=None, C="3")
        self.assertEqual(git.env, {"A": "1", "C": "3"})

    def test_bytes_that_are_no_text(self):
        _, output, _ = Git("/").try_run("stripspace", given="caf\udce9\n")
        self.assertEqual(output, "caf\udce9\n")


class Names(unittest.TestCase):
    def test_identity(self):
        self.assertEqual(identity("AUTHOR", "Ada A <ada@example.org>"),
                         {"GIT_AUTHOR_NAME": "Ada A", "GIT_AUTHOR_EMAIL": "ada@example.org"})

    def test_mails_without_the_cover_letter(self):
        with tempfile.TemporaryDirectory() as directory:
            for name in "v2-0002-b.patch", "v2-0001-a.patch", "v2-0000-cover-letter.patch", "note":
                with open(os.path.join(directory, name), "w", encoding="utf-8"):
                    pass
            self.assertEqual([os.path.basename(mail) for mail in mail_files(directory)],
                             ["v2-0001-a.patch", "v2-0002-b.patch"])
