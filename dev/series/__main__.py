# SPDX-License-Identifier: GPL-2.0
"""Write the patch series of the files whose names come on standard input, each ended
by a null byte.  The last line printed is the directory of the mails."""

import argparse
import sys

from .git import decode
from .messages import Clock, Problem
from .writer import Writer


def main():
    parser = argparse.ArgumentParser(prog="python3 -m series", description=__doc__)
    for name in "repo", "series", "base", "tree", "work", "version", "author", "committer", "figures":
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--reroll", type=int, required=True, metavar="N", help="the version of the series")
    parser.add_argument("--elapsed", type=int, default=0, metavar="S", help="seconds since the command began")
    parser.add_argument("--kdir", action="store_true", help="the base is the developer's own")
    parser.add_argument("--clone", action="store_true", help="the base is a git clone")
    parser.add_argument("--signoff", action="store_true")
    parser.add_argument("--assisted-by", default="", metavar="TOOLS")
    parser.add_argument("--in-tree", action="append", default=[], metavar="DIRECTORY")
    parser.add_argument("--leftover", action="append", default=[], metavar="PATTERN",
                        help="files of the base that a build has left behind")
    settings = parser.parse_args()
    files = [name for name in decode(sys.stdin.buffer.read()).split("\0") if name]
    try:
        print(Writer(settings, Clock(settings.elapsed)).write(files))
    except Problem as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)


main()
