# SPDX-License-Identifier: GPL-2.0
"""Progress and errors, in the form that dev/lib/lib.sh gives them."""

import sys
import time


class Problem(Exception):
    """An error, with its input, and hints how to mend it."""

    def __init__(self, text, *hints):
        super().__init__(text)
        self.hints = [hint for hint in hints if hint]

    def __str__(self):
        lines = [f"series.sh: error: {self.args[0]}"]
        return "\n".join(lines + [f"  {hint}" for hint in self.hints])


class Clock:
    """Writes a line of progress with the time since the command began."""

    def __init__(self, elapsed):
        self.begin = time.monotonic() - elapsed

    def say(self, text):
        seconds = int(time.monotonic() - self.begin)
        print(f"[{seconds // 60:3}:{seconds % 60:02}] {text}", file=sys.stderr, flush=True)
