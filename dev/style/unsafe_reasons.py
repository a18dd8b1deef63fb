#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Check the reasons for unsafe code: dev/style/unsafe_reasons.py [PATH...].  Without a
# path, the script checks the Rust files of the core, of the interface, and of the fixes
# in dev/, except for directories named tests.  Each finding is one line that begins with
# FILE:LINE.  Without findings, the script prints nothing and succeeds.
#
#   --count  print the amounts of unsafe code and of findings

import re
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PLACES = [
    "kernel/livepatch",
    "rust/kernel/livepatch",
    "rust/kernel/livepatch.rs",
    "dev/klp-build/fixes",
]

# The limit for the lines between the braces of a block, without comments.
LONGEST_BLOCK = 5

# The least number of characters of a reason without its bare phrases.
SHORTEST_REASON = 20

# Phrases that refer to a requirement without naming it, or that a reader cannot check.
BARE = re.compile(
    r"""
      (?:by|see|as)\ (?:the|its|their|what\ the)?\ ?(?:type\ )?invariants?(?:\ say)?
    | by\ (?:the|its)?\ ?(?:safety\ )?requirements?(?:\ of\ this\ function)?
    | (?:as|see)\ (?:above|below)
    | as\ for\ the\ (?:load|store|call)s?\ above
    | (?:there\ are\ )?no\ requirements?
    | none
    | the\ (?:task|module|patch|object|func|state|variable|pointer|structure)\ (?:lives|is\ valid)
    | the\ view\ is\ transparent
    | (?:and\ )?`locked`\ (?:excludes|keeps\ out)\ (?:all\ )?(?:others|(?:other\ )?(?:readers|writers|users))
    | always\ safe(?:\ to\ call)?
    | todo
    """,
    re.VERBOSE,
)

# A comment, a string, or a character, in which a brace or `unsafe` has no meaning.
OPAQUE = re.compile(
    r"""
      //[^\n]*
    | /\*.*?\*/
    | b?r(\#*)".*?"\1
    | [bc]?"(?:\\.|[^"\\])*"
    | b?'(?:\\[^']+|[^'\\\n])'
    """,
    re.VERBOSE | re.DOTALL,
)
UNSAFE = re.compile(r"\bunsafe\s*(\{|impl\b)")


def without_opaque(text):
    """The code of `text`, with spaces in place of comments and strings."""
    return OPAQUE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def substance(reason):
    """How many characters of a reason are more than a bare phrase."""
    rest = BARE.sub(" ", reason.lower())
    return len(re.sub(r"[^a-z0-9]+", " ", rest).strip())


def block_length(code, opening):
    """The lines of code between the brace at `opening` and its partner."""
    depth = 0
    for index in range(opening, len(code)):
        depth += {"{": 1, "}": -1}.get(code[index], 0)
        if depth == 0:
            return sum(1 for line in code[opening + 1 : index].splitlines() if line.strip())
    return 0


def reason_above(lines, code_lines, line):
    """The reason above the statement that `line` (from 0) is part of; None without one."""
    above = line - 1
    while above >= 0 and not lines[above].lstrip().startswith("//"):
        code = code_lines[above].strip()
        attribute = code.startswith("#[") and code.endswith("]")
        if not attribute and (not code or code[-1] in ";{},"):
            return None
        above -= 1
    comment = []
    while above >= 0 and lines[above].lstrip().startswith("//"):
        comment.insert(0, lines[above].lstrip()[2:].strip())
        above -= 1
    _, marker, reason = " ".join(comment).partition("SAFETY:")
    return reason.partition("INVARIANT:")[0].strip() if marker else None


def check(text):
    """The kind, line and message of each finding in `text`; kind `unsafe` is no finding."""
    code = without_opaque(text)
    lines, code_lines = text.split("\n"), code.split("\n")
    for match in UNSAFE.finditer(code):
        line = code.count("\n", 0, match.start())
        yield "unsafe", line + 1, None
        reason = reason_above(lines, code_lines, line)
        if reason is None:
            yield "missing", line + 1, "unsafe code without a SAFETY comment"
        elif substance(reason) < SHORTEST_REASON:
            yield "bare", line + 1, f"no reason for unsafe code: {reason!r}"
        if match.group(1) == "{":
            length = block_length(code, match.start(1))
            if length > LONGEST_BLOCK:
                yield "long", line + 1, f"an unsafe block of {length} lines under one reason"


def rust_files(places):
    for place in map(Path, places):
        if place.is_file():
            yield place
        for path in sorted(place.rglob("*.rs")):
            if "tests" not in path.relative_to(place).parts:
                yield path


def main(arguments):
    counting = arguments[:1] == ["--count"]
    places = arguments[counting:] or [REPO / place for place in PLACES]
    counts = dict.fromkeys(["unsafe", "missing", "bare", "long"], 0)
    for path in rust_files(places):
        shown = path.relative_to(REPO) if path.is_relative_to(REPO) else path
        for kind, line, message in check(path.read_text(encoding="utf-8")):
            counts[kind] += 1
            if message and not counting:
                print(f"{shown}:{line}: {message}")
    if counting:
        print(", ".join(f"{kind}: {count}" for kind, count in counts.items()))
        return False
    return any(count for kind, count in counts.items() if kind != "unsafe")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
