# SPDX-License-Identifier: GPL-2.0
"""The cover letter: series/cover, with the lines @NAME@ filled in."""

import re
import subprocess
import textwrap

from .messages import Problem

DIFFERENCES = "What differs from the C core"


def section(text, title):
    """The lines of the section of that title in a page of rst, without the title."""
    lines = text.splitlines()
    if title not in lines:
        raise Problem(f"there is no section '{title}'")
    body = lines[lines.index(title) + 2:]
    for number, line in enumerate(body):
        if re.fullmatch("[=-]+", line):
            # The line before is the next section's title.
            return body[:number - 1]
    return body


def plain(lines):
    """Paragraphs and a list in rst, as text of at most 70 columns.

    All lines before the list are one paragraph; each item is one.
    """
    text = ""
    for line in lines:
        line = re.sub(r":doc:`([^`]*)`", r"Documentation/livepatch/\1.rst", line.replace("``", ""))
        if line.startswith("- "):
            text += "\n\n"
        line = line.lstrip(" ")
        if line:
            text += line + " "
    filled = subprocess.run(["fmt", "-w", "70"], input=text + "\n", encoding="utf-8",
                            stdout=subprocess.PIPE, check=True).stdout
    return hang(filled.splitlines())


def hang(lines):
    """Indent the continuation lines of list items, from the first item on."""
    result, listed = [], False
    for line in lines:
        listed = listed or line.startswith("- ")
        result.append("  " + line if listed and line and not line.startswith("-") else line)
    return result


def changelog(text, version):
    """The sections "Changes in vN:" of series/changes up to this version, newest first."""
    sections, current = {}, None
    for line in text.splitlines():
        title = re.fullmatch(r"Changes in v([0-9]+):", line)
        if title:
            current = sections.setdefault(int(title.group(1)), [])
        if current is not None:
            current.append(line)
    result = []
    for number in range(version, 1, -1):
        if number not in sections:
            raise Problem(f"series/changes does not say what changed in v{number}",
                          f"add a section 'Changes in v{number}:'")
        result += sections[number]
    return result


def measured(summary, table):
    """The benchmark's summary, a table in Markdown, as text, and its context."""
    result = []
    for line in summary.splitlines():
        if not line.startswith("|-"):
            columns = (re.split(r" *\| *", line) + [""] * 5)[1:5]
            result.append("  {:<50} {:>9} {:>9} {:>8}".format(*columns))
    result.append("")
    lines = table.splitlines()
    about = [number for number, line in enumerate(lines) if line.startswith("kernel: ")]
    return result + ["  " + line for line in lines[about[0] if about else len(lines):]]


def results(readme, title):
    """The table of results that README has after the comment of that title, as text.

    Its columns are what has run, its result, the day and the commit.  The commit is one of
    a repository that the reader of the mails does not have.
    """
    lines = readme.splitlines()
    begin = f"<!-- {title} from here -->"
    if begin not in lines:
        raise Problem(f"README.md lacks the line '{begin}'")
    rows = lines[lines.index(begin) + 1:]
    text = []
    # The first two lines are the titles of the columns.
    for row in rows[2:rows.index("<!-- to here -->")]:
        *what, result, day, _ = (cell.strip(" `") for cell in row.strip("|").split("|"))
        text += indented(2, ": ".join(what))
        text += indented(6, f"{result}, {day}" if day else result)
    return text


def indented(columns, text):
    return textwrap.wrap(text, 70, initial_indent=" " * columns, subsequent_indent=" " * columns)


def commit_of(text):
    """The commit in a line "commit: ID", which results begin with, or nothing."""
    found = re.search(r"^commit: ([0-9a-f]*)", text, re.MULTILINE)
    return found.group(1) if found else ""


def fill(template, values):
    """The text in which the lines that values[NAME] returns stand for a line @NAME@."""
    result = []
    for line in template.splitlines():
        name = re.fullmatch("@([a-z]+)@", line)
        new = values[name.group(1)]() if name and name.group(1) in values else [line]
        for added in new:
            # Where nothing is filled in, no gap remains.
            if added or not result or result[-1]:
                result.append(added)
    return "\n".join(result) + "\n"
