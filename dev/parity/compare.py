#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the two cores.

    compare.py builds C RUST TREE   the builds, and the declarations in TREE's headers
    compare.py tours C RUST         the recordings of dev/guest/parity.sh

C and RUST are the build directories.  Prints the differences, then "N passed, N
failed"; the status is 1 if there are any.  TOURS is set if the tour is a part only.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

CORES = {"c": "C", "rust": "Rust"}
# A complete tour has at least this number of steps.
FEWEST_STEPS = 60


def read(path):
    """The text of a file, which may have any bytes; nothing if there is no file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path, text):
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)


def lines_of(text):
    """The lines that end with a newline, and no other character."""
    return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n") if text else []


class Comparison:
    """Counts the checks, and prints those that fail."""

    def __init__(self):
        self.passed = self.failed = 0

    def same(self, name, in_c, in_rust):
        """One check: two texts are the same."""
        if in_c == in_rust:
            self.passed += 1
            return
        self.failed += 1
        print(f"not ok: {name}\n{difference(name, in_c, in_rust)}", end="")

    def bad(self, name, text):
        """A check that failed."""
        self.failed += 1
        print(f"not ok: {name}: {text}")

    def totals(self):
        """Print the last line; returns the exit status."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 0 if self.passed and not self.failed else 1


def difference(name, in_c, in_rust):
    with tempfile.TemporaryDirectory() as scratch:
        files = [os.path.join(scratch, core) for core in CORES]
        for file, text in zip(files, (in_c, in_rust)):
            write(file, text)
        labels = [f"--label={name}: core in {core}" for core in CORES.values()]
        output = subprocess.run(["diff", "-u", *labels, *files], stdout=subprocess.PIPE, check=False).stdout
    return output.decode("utf-8", "surrogateescape")


# ---- The builds

def table(lines):
    return "".join(line + "\n" for line in lines)


def exports(symvers):
    """From Module.symvers: the klp_* symbols, and all symbols of the core.

    The former with module, type of export and namespace, but not the checksum.  The
    latter whatever their names are, mangled or not.
    """
    rows = [(line.split("\t") + [""] * 5)[1:5] for line in lines_of(symvers)]
    ours = sorted(" ".join(row) for row in rows if row[0].startswith("klp_"))
    every = sorted(" ".join(row[:2]) for row in rows if re.search("klp|livepatch", row[0].lower()))
    return ours, every


def symbols(nm):
    """From the output of nm: the core's entries of the export table, and all global symbols."""
    rows = [line.split() for line in lines_of(nm)]
    exported = sorted(row[2] for row in rows if len(row) > 2 and re.search("__ksymtab_.*(klp|livepatch)", row[2].lower()))
    everywhere = {}
    for row in rows:
        if len(row) > 2 and re.search("[A-Z]", row[1]):
            everywhere.setdefault(row[2], []).append(" ".join(row[1:3]))
    return exported, everywhere


# The declarations between these lines are for the Rust core alone.
RUST_ALONE = re.compile(r"^#ifdef CONFIG_LIVEPATCH_RUST\n.*?^#(else|endif)", re.MULTILINE | re.DOTALL)


def declared(headers):
    """The global functions and keys that the headers declare for both cores."""
    names = set()
    for line in lines_of(RUST_ALONE.sub("", headers)):
        function = re.match(r"(int|void|bool|struct [a-z_]+) \**([a-z_0-9]+)\(", line)
        key = re.match(r"DECLARE_STATIC_KEY_FALSE\((.*)\);", line)
        if function:
            names.add(function.group(2))
        elif key:
            names.add(key.group(1))
    return sorted(names)


def compare_builds(builds, headers, comparison):
    """builds has, for each core, the texts of Module.symvers and of nm vmlinux."""
    found = {}
    for core, (symvers, nm) in builds.items():
        found[core] = (*exports(symvers), *symbols(nm))
    for index, name in enumerate(("exported klp_* symbols", "exported symbols of the core", "export table of vmlinux")):
        comparison.same(name, *(table(found[core][index]) for core in CORES))
    # The C core determines the section of each global symbol, data or text.
    for name in declared(headers):
        places = {core: table(found[core][3].get(name, [])) for core in CORES}
        if places["c"]:
            comparison.same(f"declared: {name}", places["c"], places["rust"])
        else:
            comparison.bad(f"declared: {name}",
                           "it is not in the C core either: does this script still read the headers well?")


# ---- The tour

# These messages depend on how busy the machine is.  The step that waits for the signal to
# remaining tasks records its message.
BY_CHANCE = re.compile("workqueue: .* hogged CPU|clocksource: |hrtimer: interrupt took|perf: interrupt took|"
                       "sched: |rcu: .*expedited|livepatch: signaling remaining tasks")


def messages(kmsg):
    """The kernel's messages of each step, from a recording of /dev/kmsg.

    Level, text and order count.  Time, caller and addresses do not; nor do the place,
    the registers and the stack that a warning reports, because the cores are
    different code.
    """
    steps, current = {}, None
    warning = stack = False
    for line in lines_of(kmsg):
        if line.startswith(" "):
            continue
        line = re.sub("0x[0-9a-f]{8,}", "ADDRESS", line)
        line = re.sub(r"\b[0-9a-f]{16}\b", "ADDRESS", line)
        head, separator, text = line.partition(";")
        if not separator:
            text = line
        number = re.match("[0-9]+", head)
        level = int(number.group()) % 8 if number else 0
        begin = re.match("parity: begin ([0-9]+)", text)
        if begin:
            current = steps.setdefault(int(begin.group(1)), [])
            warning = stack = False
            continue
        if text.startswith("parity: end of the tour"):
            current = None
            continue
        if BY_CHANCE.match(text):
            continue
        if text.startswith("WARNING: "):
            warning, text = True, "WARNING"
        else:
            warning = warning and not text.startswith("---[ end trace")
            if warning:
                continue
            stack = stack or bool(re.match("CPU: [0-9]+ ", text))
            if "</TASK>" in text:
                stack = False
                continue
            if stack:
                continue
        if current is not None:
            current.append(f"{level}: {text}")
    return steps


def records(directory):
    """The recording of a tour: each step by its number, its messages at the end."""
    steps = {}
    for path in glob.glob(os.path.join(glob.escape(directory), "[0-9]*")):
        steps[os.path.basename(path)] = read(path)
    for step, lines in messages(read(os.path.join(directory, "kmsg"))).items():
        name = f"{step:03}"
        steps[name] = steps.get(name, "") + "# messages\n" + table(lines)
    return steps


def timed_out(*texts):
    return sorted({line for text in texts for line in lines_of(text) if line.startswith("TIMED OUT")})


def compare_tours(directories, partial, comparison):
    """directories has, for each core, that of its records."""
    steps = {core: records(directory) for core, directory in directories.items()}
    for core, directory in directories.items():
        kmsg = read(os.path.join(directory, "kmsg"))
        name = f"the tour with the core in {CORES[core]}"
        if "parity: end of the tour" not in kmsg:
            comparison.bad(name, "it did not come to its end")
        reports = [line for line in lines_of(kmsg) if re.search(";(BUG: |INFO: |Oops|.*kernel BUG at|kernel BUG)", line)]
        if reports:
            comparison.bad(name, "the kernel's own checks report: " + "\n".join(reports))
    numbers = sorted(set(steps["c"]) | set(steps["rust"]))
    for number in numbers:
        in_c, in_rust = (steps[core].get(number, "") for core in CORES)
        title = re.match("# (.*)", in_rust or in_c)
        name = f"{number} {title.group(1) if title else ''}"
        vain = timed_out(in_c, in_rust)
        if vain:
            comparison.bad(name, "a state was never reached: " + "\n".join(vain))
        comparison.same(name, in_c, in_rust)
    if len(numbers) < FEWEST_STEPS and not partial:
        comparison.bad("the tour", f"it has no more than {len(numbers)} steps")
    return steps


def keep(steps, directory):
    """Leave the steps where a developer can look at them, one file each."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for number, text in steps.items():
        write(os.path.join(directory, number), text)


def fail(text, *hints):
    sys.exit("\n  ".join([f"compare.py: error: {text}", *hints]))


def main(arguments):
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    what, rest = (arguments + [""])[0], arguments[1:]
    if what not in ("builds", "tours") or len(rest) != (3 if what == "builds" else 2):
        fail(f"{' '.join(arguments)}: not understood", *__doc__.strip().split("\n\n")[1].split("\n"))
    directories = dict(zip(CORES, rest))
    comparison = Comparison()
    if what == "builds":
        builds = {}
        for core, directory in directories.items():
            symvers = read(os.path.join(directory, "Module.symvers"))
            if not exports(symvers)[0]:
                fail(f"no klp_* symbol in {directory}/Module.symvers", f"make kernel CORE={core}")
            nm = subprocess.run(["nm", os.path.join(directory, "vmlinux")],
                                stdout=subprocess.PIPE, encoding="utf-8", errors="surrogateescape", check=False)
            if nm.returncode:
                fail(f"nm cannot read {directory}/vmlinux", f"make kernel CORE={core}")
            builds[core] = symvers, nm.stdout
        headers = sorted(glob.glob(os.path.join(glob.escape(rest[2]), "include/linux/livepatch*.h")))
        compare_builds(builds, "".join(map(read, headers)), comparison)
    else:
        tours = {core: os.path.join(directory, "parity") for core, directory in directories.items()}
        steps = compare_tours({core: os.path.join(tour, "records") for core, tour in tours.items()},
                              bool(os.environ.get("TOURS")), comparison)
        for core, tour in tours.items():
            keep(steps[core], os.path.join(tour, "steps"))
    return comparison.totals()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
