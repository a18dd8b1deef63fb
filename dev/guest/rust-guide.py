#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Follow a page of documentation: dev/guest/rust-guide.py PAGE DIRECTORY.  The script
# writes each code block with a caption as a file into DIRECTORY.  It runs the commands
# of console blocks, which follow "# ", in this directory and in one shell.  Each command
# is a case: it must print the text that the page shows, in which "..." matches any text.
# The output is in the notation that dev/lib/judge.sh reads.

import re
import subprocess
import sys
import textwrap


def blocks(lines):
    """Each code block's language, caption and text."""
    index = 0
    while index < len(lines):
        if not lines[index].startswith(".. code-block:: "):
            index += 1
            continue
        language = lines[index].split()[-1]
        caption = None
        body = []
        index += 1
        while index < len(lines) and (not lines[index].strip() or lines[index].startswith("   ")):
            if lines[index].strip().startswith(":caption: ") and not body:
                caption = lines[index].split(": ", 1)[1].strip()
            elif body or lines[index].strip():
                body.append(lines[index])
            index += 1
        yield language, caption, textwrap.dedent("\n".join(body)).strip() + "\n"


def steps(text):
    """Each command of a console block, with what it prints."""
    command, output = None, []
    for line in text.splitlines():
        if line.startswith("# "):
            if command is not None:
                yield command, "\n".join(output).strip()
            command, output = line[2:], []
        else:
            output.append(line)
    if command is not None:
        yield command, "\n".join(output).strip()


def main():
    page, directory = sys.argv[1:]
    with open(page, encoding="utf-8") as file:
        lines = file.read().splitlines()
    shell = subprocess.Popen(["bash"], cwd=directory, text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = "--- the end of what the command prints ---"
    for language, caption, text in blocks(lines):
        if caption:
            with open(f"{directory}/{caption}", "w", encoding="utf-8") as file:
                file.write(text)
            continue
        if language != "console":
            continue
        for command, expected in steps(text):
            print(f"# {command}", flush=True)
            shell.stdin.write(f"{command}\necho '{end}'\n")
            shell.stdin.flush()
            output = []
            for line in shell.stdout:
                if line.rstrip("\n") == end:
                    break
                output.append(line.rstrip())
                print(line, end="", flush=True)
            pattern = re.escape(expected).replace(r"\.\.\.", ".*")
            if re.fullmatch(pattern, "\n".join(output).strip(), re.DOTALL):
                print(f"TEST: {command} ... ok")
            else:
                print(f"TEST: {command} ... not ok")
                print(f"  the page says: {expected}")


main()
