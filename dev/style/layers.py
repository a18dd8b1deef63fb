#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Hold the Rust files of kernel/livepatch/ against their layers.

lib.rs has the two rules: a file uses those of its own layer and of the layers
below, and no two files use each other, be it through others.  The `use` lines of a
file tell which files it uses.  Prints each use that breaks a rule, and with --count
how many files, uses and layers there are.
"""

import argparse
import pathlib
import re
import sys

# The layers, from the lowest.  Files outside of the directories are the core.
LAYERS = ("model", "edge", "core", "hooks")
NOT_LAYERED = {"lib", "rules_kunit", "live_kunit"}


def leaves(tokens, prefix=()):
    """The paths of a use tree, given as an iterator of tokens."""
    path = prefix
    for token in tokens:
        if token == "{":
            yield from leaves(tokens, path)
            path = prefix
        elif token in ",}":
            if path != prefix:
                yield path
            path = prefix
            if token == "}":
                return
        elif token == "as":
            next(tokens)
        elif token != "::":
            path += (token,)
    if path != prefix:
        yield path


def uses(text):
    """The paths in the `use` lines of a file, as tuples of names."""
    for line in re.findall(r"^ *(?:pub(?:\(\w+\))? )?use ([^;]*);", text, re.M):
        line = re.sub(r"//[^\n]*", "", line)
        yield from leaves(iter(re.findall(r"::|[{},]|\w+|\*", line)))


class Crate:
    def __init__(self, root):
        self.text = {}
        for path in sorted(root.rglob("*.rs")):
            module = path.relative_to(root).with_suffix("").parts
            if module[0] != "tests" and module[0] not in NOT_LAYERED:
                module = module[:-1] if module[-1] == "mod" else module
                self.text[module] = path.read_text()
        self.arrows = {
            (module, used)
            for module in self.text
            for path in uses(self.text[module])
            for used in [self.resolve(module, path)]
            if used and used != module
        }

    def resolve(self, module, path):
        """The file that a path in the file of `module` leads to, or None."""
        if path[0] == "crate":
            path = path[1:]
        elif path[0] in ("super", "self"):
            while path and path[0] in ("super", "self"):
                module = module[:-1] if path[0] == "super" else module
                path = path[1:]
            path = module + path
        else:
            return None
        while path and path not in self.text:
            path = path[:-1]
        return path or None

    def layer(self, module):
        return LAYERS.index(module[0] if module[0] in LAYERS else "core")

    def upward(self):
        return sorted(a for a in self.arrows if self.layer(a[0]) < self.layer(a[1]))

    def circles(self):
        """The sets of files that use each other, a directory's mod.rs apart."""
        below = {module: set() for module in self.text}
        for user, used in self.arrows:
            # A mod.rs declares its files, and they use it.  This does not count as a circle.
            if user[: len(used)] != used and used[: len(user)] != user:
                below[user].add(used)

        def reach(start):
            seen, todo = set(), [start]
            while todo:
                for used in below[todo.pop()] - seen:
                    seen.add(used)
                    todo.append(used)
            return seen

        reached = {module: reach(module) for module in self.text}
        return sorted(
            {
                tuple(sorted(m for m in reached[module] if module in reached[m]))
                for module in self.text
                if module in reached[module]
            }
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", action="store_true")
    parser.add_argument("directory", type=pathlib.Path)
    args = parser.parse_args()
    crate = Crate(args.directory)
    if not crate.text:
        sys.exit(f"layers.py: error: no Rust files in {args.directory}")
    upward, circles = crate.upward(), crate.circles()
    for user, used in upward:
        print(f"{'/'.join(user)}.rs uses {'/'.join(used)}.rs, which is in a layer above")
    for circle in circles:
        print("these use each other: " + ", ".join("/".join(m) + ".rs" for m in circle))
    if args.count:
        print(
            f"{len(crate.text)} files, {len(crate.arrows)} uses, "
            f"{len(upward)} that run back up, {len(circles)} circles"
        )
    return bool(upward or circles)


if __name__ == "__main__":
    sys.exit(main())
