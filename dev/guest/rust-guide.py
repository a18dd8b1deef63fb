#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Do what a page of documentation says: dev/guest/rust-guide.py PAGE FOLDER.  Files that
# the page shows, code blocks with a caption, are written into FOLDER; commands in
# console blocks, after "# ", are run there in one shell; what they print must be
# what the page shows, where "..." stands for anything.  Each command is one test.
# The last line is "N passed, N failed".

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
    page, folder = sys.argv[1:]
    with open(page, encoding="utf-8") as file:
        lines = file.read().splitlines()
    shell = subprocess.Popen(["bash"], cwd=folder, text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = "--- the end of what the command prints ---"
    passed = failed = 0
    for language, caption, text in blocks(lines):
        if caption:
            with open(f"{folder}/{caption}", "w", encoding="utf-8") as file:
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
                passed += 1
            else:
                failed += 1
                print(f"not ok: the page says: {expected}")
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


sys.exit(main())
