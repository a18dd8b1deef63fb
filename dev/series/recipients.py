# SPDX-License-Identifier: GPL-2.0
"""The recipients of the series."""

import re


def places(changes, directories):
    """The shortest paths that are enough to find the maintainers of all changes.

    changes has pairs of a git status and a path; directories has those of the base.
    A new file counts with the outermost directory that is new with it.  Returns
    pairs of "new" or "changed" and a path.
    """
    found = {}
    for status, path in changes:
        parts = path.split("/")
        place, rest = parts[0], parts[1:]
        while rest and place in directories:
            place += "/" + rest.pop(0)
        found.setdefault(place, "new" if status == "A" else "changed")
    return [(kind, place) for place, kind in found.items()]


def options(maintainers):
    """git format-patch's options for the output of get_maintainer.pl --roles.

    Maintainers get the mails; the others, and the lists, get copies.
    """
    found = []
    for line in maintainers.splitlines():
        # Names and roles may have parentheses of their own: the address is between them.
        name, role = re.fullmatch(r"(.*?\S+@\S+) \((.*)\)", line).groups()
        to = re.match("maintainer|supporter", role)
        found.append(("--to=" if to else "--cc=") + name)
    return found
