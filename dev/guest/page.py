#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Follow a page of documentation.  The script writes each code block with a caption as a
# file into DIRECTORY.  It runs the commands of console blocks, which follow "# ", in this
# directory and in one shell.  Each command is a case: it must print the text that the page
# shows, in which "..." matches any text.  The output is in the notation that
# dev/lib/judge.sh reads.
#
#   dev/guest/page.py PAGE DIRECTORY [--prompt '$'] [--section TITLE]... [--quiet]
#
# --prompt runs the commands that follow another mark, and --section those of sections
# alone.  If the page shows no output of a command, then with --quiet it must succeed, and
# may print anything.

import argparse
import re
import subprocess
import textwrap


def blocks(lines, sections):
    """Each code block's language, caption and text."""
    index = 0
    section = None
    while index < len(lines):
        if index and re.fullmatch("==+", lines[index]):
            section = lines[index - 1]
        if sections and section not in sections:
            index += 1
            continue
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


def steps(text, prompt):
    """Each command of a console block after this mark, with what it prints."""
    command, output = None, []
    for line in text.splitlines():
        if line.startswith(prompt + " "):
            if command is not None:
                yield command, "\n".join(output).strip()
            command, output = line[len(prompt) + 1:], []
        elif prompt != "#" and line.startswith("# "):
            # A command for the other machine ends this one's output.
            if command is not None:
                yield command, "\n".join(output).strip()
            command, output = None, []
        else:
            output.append(line)
    if command is not None:
        yield command, "\n".join(output).strip()


# The words of make if a tool is missing that the kernel was built with, and modules do not need.
NOISE = re.compile("warning: pahole version differs|  The kernel was built with: |"
                   "  You are using:  |Skipping BTF generation for ")


def matches(expected, lines):
    output = "\n".join(line for line in lines if not NOISE.match(line))
    pattern = re.escape(expected).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, output.strip(), re.DOTALL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page")
    parser.add_argument("directory")
    parser.add_argument("--prompt", default="#")
    parser.add_argument("--section", action="append")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    directory = options.directory
    with open(options.page, encoding="utf-8") as file:
        lines = file.read().splitlines()
    shell = subprocess.Popen(["bash"], cwd=directory, text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = "--- the end of what the command prints ---"
    for language, caption, text in blocks(lines, options.section):
        if caption:
            with open(f"{directory}/{caption}", "w", encoding="utf-8") as file:
                file.write(text)
            continue
        if language != "console":
            continue
        for command, expected in steps(text, options.prompt):
            print(f"# {command}", flush=True)
            shell.stdin.write(f"{command}\necho '{end}'$?\n")
            shell.stdin.flush()
            output = []
            for line in shell.stdout:
                if line.startswith(end):
                    succeeded = line.strip() == end + "0"
                    break
                output.append(line.rstrip())
                print(line, end="", flush=True)
            if options.quiet and not expected:
                right = succeeded
            else:
                right = matches(expected, output)
            if right:
                print(f"TEST: {command} ... ok")
            else:
                print(f"TEST: {command} ... not ok")
                print(f"  the page says: {expected}")


main()
