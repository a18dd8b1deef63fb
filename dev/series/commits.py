# SPDX-License-Identifier: GPL-2.0
"""Which file belongs to which commit.

A file of series/commits/ is a commit message, a line "Files:", and patterns, of
which "*" also matches slashes.  The commits come in the order of their names.
"""

import fnmatch
import os
import re
from dataclasses import dataclass

from .messages import Problem

DIFFS = re.compile("series/(fixes/)?diffs/")


@dataclass
class Commit:
    name: str
    message: str
    patterns: list


def parse(name, text):
    """The commit that the file series/commits/NAME with this text describes."""
    lines = text.splitlines(keepends=True)
    heads = [line.rstrip("\n") for line in lines]
    if "Files:" not in heads:
        raise Problem(f"series/commits/{name} does not say which files belong to it",
                      "add a line 'Files:' and a pattern a line")
    at = heads.index("Files:")
    patterns = [head for head in heads[at + 1:] if head and not head.startswith("#")]
    return Commit(name, "".join(lines[:at]), patterns)


def read(directory):
    """All commits, in order."""
    commits = []
    for name in sorted(os.listdir(directory)):
        if not name.startswith("."):
            with open(os.path.join(directory, name), encoding="utf-8", newline="") as file:
                commits.append(parse(name, file.read()))
    return commits


def owner(commits, file):
    """The name of the commit that the file belongs to: the longest pattern wins."""
    length, owners = 0, []
    for commit in commits:
        for pattern in commit.patterns:
            if len(pattern) < length or not fnmatch.fnmatchcase(file, pattern):
                continue
            if len(pattern) > length:
                length, owners = len(pattern), []
            if commit.name not in owners:
                owners.append(commit.name)
    if not owners:
        raise Problem(f"{file} belongs to no commit",
                      "give it one: a pattern in a file under series/commits/")
    if len(owners) > 1:
        places = " and to ".join(f"series/commits/{name}" for name in owners)
        raise Problem(f"{file} belongs to {places}",
                      "the longest pattern wins: make one of them longer")
    return owners[0]


def distribute(commits, files):
    """The files of each commit by its name, in the order in which they are given."""
    by_name = {commit.name: [] for commit in commits}
    for file in files:
        by_name[owner(commits, file)].append(file)
    return by_name


def is_diff(file):
    """Whether the file is a diff to one of upstream's."""
    return bool(DIFFS.match(file))


def diff_target(diff):
    """The file that series/diffs/FILE.diff or series/diffs/FILE@PURPOSE.diff changes."""
    file = DIFFS.sub("", diff, count=1)[:-len(".diff")]
    return file.rpartition("@")[0] or file
