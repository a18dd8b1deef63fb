#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the figures that measure.sh has printed on the C core and on the Rust core.

Prints one table: C, Rust, and the ratio of C to Rust.  With --write DIRECTORY, also
writes bench.csv with all figures, table.txt with this table, summary.md for
README.md, and plots.
"""

import argparse
import csv
import math
import os
import sys

# Python must not write a compiled copy of plots.py, which git would not ignore.
sys.dont_write_bytecode = True
from plots import Panel, Plot

CALLS = 100_000  # in target.c
PROBES = 1000  # in shadow.c
TARGET = "klp_bench_target"
FUNCTIONS = (1, 10, 100, 1000, 2000)
JUMPS = (1, 10, 100, 1000)
PASS_FUNCTIONS = (1, 100, 1000)
TASKS = (50, 1000, 5000)
THREADS = 10_000  # in measure.sh
VARIABLES = (10, 10_000, 100_000)
MEMORY = ("slab", "vmalloc", "trampolines")
KLPCTL = ("status", "why")
LOADS = (
    ("idle", "nothing"),
    ("user", "a loop in user space on each CPU, nohz_full"),
    ("calls", "a loop of system calls on each CPU"),
    ("resched", "a kernel thread that asks for others on each CPU"),
    ("spin", "a kernel thread that never sleeps on each CPU"),
    ("forks", "500 processes that fork"),
    ("fifo", "a SCHED_FIFO loop on each CPU"),
)
MANY_TASKS = (
    ("still", "5,000 tasks that sleep, a minute without a transition"),
    ("transitions", "5,000 tasks that sleep, 100 transitions"),
)
# A trial of these alone has no calibration.
NOT_CALIBRATED = (
    "selftests",
    *(f"klpctl_{command}" for command in KLPCTL),
    *(f"{what}_{load}" for load, _ in LOADS for what in ("load", "fork", "timer")),
    *(f"{what}_{load}" for load, _ in MANY_TASKS for what in ("fork", "timer")),
)


class Figures:
    """The figures of one core: values by (name, object, functions, tasks)."""

    def __init__(self, path):
        self.values = {}
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                fields = line.split()
                if not fields or fields[0] != "figure":
                    continue
                if len(fields) != 6 or not fields[5].lstrip("-").isdigit():
                    sys.exit(f"{path}: not a figure: {line.strip()}")
                self.values.setdefault(tuple(fields[1:5]), []).append(int(fields[5]))

    def all(self, name, obj="-", functions="-", tasks="-"):
        return self.values.get((name, obj, str(functions), str(tasks)), [])

    def one(self, *key):
        """The figure, or None.  If the measurement was repeated, the last figure."""
        values = self.all(*key)
        return values[-1] if values else None


def combine(function, *values):
    return None if None in values else function(*values)


def exponent(points):
    """The slope of a straight line through the points on logarithmic scales."""
    points = [(math.log(x), math.log(y)) for x, y in points if y]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum(
        (x - mean_x) ** 2 for x, _ in points
    )


def show(value, unit):
    """A value in its unit.  For M, s and ms, the figures have a smaller unit."""
    if value is None:
        return "-"
    value /= {"M": 1e6, "s": 1e9, "ms": 1e6}.get(unit, 1)
    decimals = {"": 2, "bytes": 0}.get(unit)
    if decimals is None:
        # Show three significant digits or more, with up to four decimals.
        decimals = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, min(4, decimals))}f} {unit}".strip()


class Table:
    """Rows of a title, the two values, and their ratio."""

    def __init__(self, c, rust):
        self.c, self.rust = c, rust
        self.rows = []
        self.heading = None

    def head(self, text):
        """Puts a heading above the next row, if there is one."""
        self.heading = text

    def row(self, title, unit, value, ratio=True, both=True):
        """Adds a row with value(figures) of each core, if either was measured.

        If both is false, only the Rust core has such a value.
        """
        c, rust = value(self.c), value(self.rust)
        if c is None and rust is None:
            return
        if self.heading:
            self.rows.append((self.heading, "", "", ""))
            self.heading = None
        times = "-"
        if ratio and c is not None and rust:
            times = f"{c / rust:,.1f}" if c / rust < 100 else f"{c / rust:,.0f}"
        self.rows.append(("  " + title, show(c, unit) if both else "none", show(rust, unit), times))

    def text(self):
        lines = []
        widths = [max(len(row[i]) for row in self.rows) for i in range(4)]
        for i, row in enumerate(self.rows):
            if not any(row[1:]) and i:
                lines.append("")
            cells = [row[0].ljust(widths[0])] + [row[j].rjust(widths[j]) for j in (1, 2, 3)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines) + "\n"


def extra(name, functions):
    """Instructions of a call, less those of a call of an unpatched function."""
    return lambda f: combine(
        lambda a, b: (a - b) / CALLS,
        f.one(name, TARGET, functions),
        f.one("call_unpatched", TARGET),
    )


def curve(name, obj, functions=FUNCTIONS):
    return lambda f: [(n, f.one(name, obj, n)) for n in functions]


def each(name, obj):
    """The cost of one more function, between 1,000 and 2,000 functions."""
    return lambda f: combine(
        lambda many, more: (more - many) / 1000, f.one(name, obj, 1000), f.one(name, obj, 2000)
    )


def idle(name, obj, functions):
    """The time in idle until the patch is gone."""
    return lambda f: combine(
        lambda time, busy: time - busy, f.one(f"{name}_time", obj, functions), f.one(name, obj, functions)
    )


def memory(kinds, obj):
    """Bytes of these kinds for each of 2000 patched functions."""
    return lambda f: combine(lambda *v: sum(v) / 2000, *(f.one(f"memory_{kind}", obj, 2000) for kind in kinds))


def cases(f):
    """The number of selftests that were run.  The figure has it in the column for functions."""
    return next((key[2] for key in f.values if key[0] == "selftests"), "-")


def selftests(f):
    return f.one("selftests", "-", cases(f))


def longest_end(f):
    return combine(max, f.all("end", TARGET, 2) or None)


def table(c, rust):
    t = Table(c, rust)
    t.rows.append(("what (M: million instructions; s: seconds on the guest's clock)", "C", "Rust", "C : Rust"))

    t.head("a call, instructions")
    t.row("unpatched, with the loop around it", "", lambda f: combine(lambda v: v / CALLS, f.one("call_unpatched", TARGET)))
    t.row("patched: extra", "", extra("call_patched", 1))
    t.row("patched, as one of 1000: extra", "", extra("call_patched", 1000))
    t.row("patched twice: extra", "", extra("call_twice", 1))
    t.row("in transition, by a task that has switched: extra", "", extra("call_switched", 1))
    t.row("in transition, by a task that has not: extra", "", extra("call_waiting", 1))

    for obj, where in ((TARGET, "a module"), ("vmlinux", "vmlinux")):
        for name, what in (
            ("enable", "enable"),
            ("replace", "replace, until the old patch is gone from sysfs"),
            ("disable", "disable, until the patch is gone from sysfs"),
        ):
            t.head(f"{what}: functions of {where}")
            for n in FUNCTIONS:
                t.row(f"{n:,}", "M", lambda f, n=n: f.one(name, obj, n))
            t.row("one more function", "M", each(name, obj), ratio=True)
            t.row(
                "grows with the number of functions to the power of",
                "",
                lambda f: exponent([p for p in curve(name, obj)(f) if p[1]]),
                ratio=False,
            )
            if name == "enable":
                for phase in ("prepare", "patch", "transition"):
                    t.row(f"1,000: {phase}", "M", lambda f, phase=phase: f.one(f"enable_{phase}", obj, 1000))
            else:
                for n in FUNCTIONS:
                    t.row(f"{n:,}, on the clock", "s", lambda f, n=n: f.one(f"{name}_time", obj, n))
                for n in (1, 1000):
                    t.row(f"{n:,}, on the clock, in idle", "s", idle(name, obj, n))
                for n in (1, 1000):
                    t.row(
                        f"{n:,}, on the clock, until the module is free",
                        "s",
                        lambda f, n=n: f.one(f"{name}_free", obj, n),
                    )

    for obj, where in ((TARGET, "a module"), ("vmlinux", "vmlinux")):
        for name, what in (("settle", "come to jump past the handler"), ("handle", "stop jumping past the handler")):
            t.head(f"functions of {where} {what}")
            for n in JUMPS:
                t.row(f"{n:,}", "M", lambda f, n=n: f.one(name, obj, n), both=False)

    for name, what in (
        ("pass_transition", "a transition with one pass over all tasks"),
        ("held", "the longest wait of a real-time task meanwhile"),
    ):
        t.head(f"{what}: functions × tasks")
        for tasks in TASKS:
            for n in PASS_FUNCTIONS:
                there = c.one("tasks", TARGET, n, tasks) or rust.one("tasks", TARGET, n, tasks) or tasks
                t.row(
                    f"{n:,} × {there:,}",
                    "M",
                    lambda f, n=n, tasks=tasks, name=name: f.one(name, TARGET, n, tasks),
                )

    t.head("kernel threads that are created and end, one after the other")
    t.row(f"{THREADS:,}", "M", lambda f: f.one("threads", "-", "-", THREADS))
    t.row("one of them, instructions", "", lambda f: combine(lambda v: v / THREADS, f.one("threads", "-", "-", THREADS)))

    for obj, where in ((TARGET, "a module"), ("vmlinux", "vmlinux")):
        t.head(f"memory of a patched function, of 2000 of {where}")
        for kind in MEMORY:
            t.row(kind, "bytes", memory([kind], obj))
        t.row("all", "bytes", memory(MEMORY, obj))

    t.head("blocker gone to transition complete")
    t.row("mean", "ms", lambda f: combine(lambda v: sum(v) / len(v), f.all("end", TARGET, 2) or None))
    t.row("longest", "ms", longest_end)

    t.head("klpctl among 10,000 kernel threads")
    for command in KLPCTL:
        for waiting in (1, 10_000):
            t.row(
                f"{command}, {waiting:,} waited for",
                "M",
                lambda f, command=command, waiting=waiting: f.one(f"klpctl_{command}", "-", waiting, 10_000),
            )

    t.head("by a real clock, on both cores at the same time")
    t.row(f"the {cases(c)} existing selftests", "s", selftests)

    for what, title in (
        ("load", "by a real clock: enable to complete on a busy machine of 4 CPUs, emulated in turns"),
        ("fork", "by a real clock: the longest fork meanwhile"),
        ("timer", "by a real clock: the latest wake-up of a SCHED_FIFO thread meanwhile"),
    ):
        t.head(title)
        for load, name in LOADS if what == "load" else LOADS + MANY_TASKS:
            t.row(name, "s", lambda f, what=what, load=load: f.one(f"{what}_{load}"))

    t.head("a module comes")
    t.row("nothing to patch", "M", lambda f: f.one("coming", TARGET, 0))
    t.row(
        "1,000 functions to patch: extra",
        "M",
        lambda f: combine(lambda a, b: a - b, f.one("coming", TARGET, 1000), f.one("coming", TARGET, 0)),
    )

    t.head("shadow variables, instructions each")
    for name, what in (("alloc", "allocate"), ("get", "get"), ("free", "free")):
        for n in VARIABLES:
            t.row(
                f"{what}, with {n:,}",
                "",
                lambda f, n=n, name=name: combine(lambda v: v / PROBES, f.one(f"shadow_{name}", "-", n)),
            )
    for n in VARIABLES:
        t.row(f"free all {n:,}", "M", lambda f, n=n: f.one("shadow_free_all", "-", n))
    return t


def summary(c, rust):
    """The most important figures, in few words, for README.md and the cover letter."""
    t = Table(c, rust)
    t.row("a patched call, instructions more than another", "", extra("call_patched", 1))
    t.row("enable 1,000 functions of a module, instructions", "M", lambda f: f.one("enable", TARGET, 1000))
    t.row("enable 1,000 functions of vmlinux, instructions", "M", lambda f: f.one("enable", "vmlinux", 1000))
    for n in (1, 1000):
        functions = f"{n:,} function{'s' * (n > 1)}"
        t.row(f"disable {functions}, until the patch is gone", "s", lambda f, n=n: f.one("disable_time", TARGET, n))
        t.row(f"disable {functions}, until the module is free", "s", lambda f, n=n: f.one("disable_free", TARGET, n))
    for tasks, n in ((1000, 1), (1000, 1000), (5000, 1000)):
        t.row(
            f"a transition, {tasks:,} tasks, {n:,} function{'s' * (n > 1)}, instructions",
            "M",
            lambda f, n=n, tasks=tasks: f.one("pass_transition", TARGET, n, tasks),
        )
    t.row(
        "the longest wait of a real-time task meanwhile, 5,000 tasks, 1 function, instructions",
        "M",
        lambda f: f.one("held", TARGET, 1, 5000),
    )
    t.row(f"create and end {THREADS:,} threads, instructions", "M", lambda f: f.one("threads", "-", "-", THREADS))
    t.row("memory of a patched function, of 2,000", "bytes", memory(MEMORY, TARGET))
    t.row("last task ready until transition over, at most", "ms", longest_end)
    # The other loads take so little time that a real clock shows mostly noise.
    name = dict(LOADS)["spin"]
    t.row(f"enable to complete, by a real clock, {name}", "s", lambda f: f.one("load_spin"))
    t.row("get a shadow variable, of 100,000, instructions", "", lambda f: combine(lambda v: v / PROBES, f.one("shadow_get", "-", 100_000)))
    t.row("the existing selftests, by a real clock, both at once", "s", selftests)
    lines = ["| | C | Rust | C : Rust |", "|---|---:|---:|---:|"]
    lines += ["| " + " | ".join(cell.strip() for cell in row) + " |" for row in t.rows]
    return "\n".join(lines) + "\n"


def check(c, rust):
    if c.one("names", "vmlinux") != rust.one("names", "vmlinux"):
        sys.exit("the functions of vmlinux that were patched differ")
    for figures, core in ((c, "C"), (rust, "Rust")):
        ticks = figures.one("calibration")
        if figures.values and all(key[0] in NOT_CALIBRATED for key in figures.values):
            continue
        if ticks is None:
            sys.exit(f"{core}: there is no calibration")
        if abs(ticks - 2_000_000) > 2000:
            sys.exit(f"{core}: the clock does not count instructions: {ticks} ticks for 2,000,000")
        if not all(value > 0 for key, values in figures.values.items() for value in values if "memory" not in key[0]):
            sys.exit(f"{core}: a figure is not positive")


def write_csv(path, meta, c, rust):
    keys = list(dict.fromkeys(list(c.values) + list(rust.values)))
    with open(path, "w", encoding="utf-8", newline="") as file:
        for line in meta:
            file.write(f"# {line}\n")
        file.write("# values: ticks of a clock that counts instructions; memory: bytes;"
                   " selftests, load, fork, timer: nanoseconds of a real clock; tasks: their number; names: a checksum\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("figure", "object", "functions", "tasks", "c", "rust"))
        for key in keys:
            values = (f.values.get(key, []) for f in (c, rust))
            writer.writerow([*key, *(" ".join(map(str, v)) for v in values)])


def plots_of(c, rust):
    """Each plot has the same two lines in every panel: one for each core."""

    def panel(title, points):
        return Panel(title, points(c), points(rust))

    def by_functions(name):
        objects = ((TARGET, "functions of a module"), ("vmlinux", "functions of vmlinux"))
        return [panel(where, curve(name, obj)) for obj, where in objects]

    def passed(functions):
        return lambda f: [
            (f.one("tasks", TARGET, functions, n), f.one("pass_transition", TARGET, functions, n)) for n in TASKS
        ]

    def shadow(name):
        return lambda f: [(n, combine(lambda v: v / PROBES, f.one(f"shadow_{name}", "-", n))) for n in VARIABLES]

    operations = (
        ("enable", "Enabling a patch"),
        ("replace", "Replacing a patch, until the old one has left sysfs"),
        ("disable", "Disabling a patch, until it has left sysfs"),
    )
    return [
        *(Plot(name, title, "number of functions", "instructions", by_functions(name)) for name, title in operations),
        Plot(
            "pass",
            "A transition with one pass over all tasks",
            "number of tasks",
            "instructions",
            [panel(f"{n:,} function{'s' * (n > 1)}", passed(n)) for n in PASS_FUNCTIONS],
        ),
        Plot(
            "shadow",
            "Shadow variables",
            "number of variables",
            "instructions each",
            [panel(title, shadow(name)) for name, title in (("alloc", "allocate"), ("get", "get"), ("free", "free"))],
        ),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("c", help="the output of measure.sh on the C core")
    parser.add_argument("rust", help="the output of measure.sh on the Rust core")
    parser.add_argument("--write", metavar="DIRECTORY", help="the directory to write bench.csv and plots to")
    parser.add_argument("--meta", action="append", default=[], metavar="KEY=VALUE", help="a setting for bench.csv to record")
    arguments = parser.parse_args()

    both = Figures(arguments.c), Figures(arguments.rust)
    check(*both)
    results = table(*both)
    text = results.text()
    print(text, end="")
    if arguments.write:
        missing = [row[0].strip() for row in results.rows if "-" in row[1:3]]
        if missing:
            sys.exit(f"not measured on both cores, so nothing is written: {', '.join(missing)}")
        meta = [line.replace("=", ": ", 1) for line in arguments.meta]
        os.makedirs(arguments.write, exist_ok=True)
        for plot in plots_of(*both):
            plot.write(arguments.write)
        with open(os.path.join(arguments.write, "table.txt"), "w", encoding="utf-8") as file:
            file.write(text + "\n" + "\n".join(meta) + "\n")
        with open(os.path.join(arguments.write, "summary.md"), "w", encoding="utf-8") as file:
            file.write(summary(*both))
        write_csv(os.path.join(arguments.write, "bench.csv"), meta, *both)
        print(f"\nwritten to {arguments.write}: bench.csv, table.txt, summary.md, and plots")


if __name__ == "__main__":
    main()
