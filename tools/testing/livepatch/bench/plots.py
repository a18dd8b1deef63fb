# SPDX-License-Identifier: GPL-2.0
"""Draw the figures of the two cores on logarithmic scales, with one line for each core.

The drawings have no background, and their text has a light or a dark colour as the
reader's system prefers.  They have a title and a description with the figures for
screen readers.
"""

import io
import os
import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = list[tuple[int, float | None]]

# Vermilion and a blue: different for the colour-blind, and legible on white and on black.
COLOURS = {"C": "#d55e00", "Rust": "#0a84d6"}
MARKERS = {"C": "s", "Rust": "o"}

# matplotlib draws text, axes and ticks in black.
STYLE = """<style>
text { fill: #1f2328 !important; }
@media (prefers-color-scheme: dark) {
 text { fill: #e6edf3 !important; }
 [style*="stroke: #000000"] { stroke: #e6edf3 !important; }
 use { fill: #e6edf3; }
}
</style>
"""


@dataclass
class Panel:
    """One pair of axes: its title, and the points of the two cores."""

    title: str
    c: Points
    rust: Points

    def lines(self) -> list[tuple[str, Points]]:
        both = (("C", self.c), ("Rust", self.rust))
        return [(core, [(x, y) for x, y in points if y]) for core, points in both]


def number(value: float) -> str:
    """A number in at most four letters: 20, 3 k, 1.5 M."""
    # 999,600 is 1 M then, and not 1e+03 k.
    value = float(f"{value:.3g}")
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


@dataclass
class Plot:
    """Some panels beside each other, which share the scale of the ordinate."""

    name: str
    title: str
    x_label: str
    y_label: str
    panels: list[Panel]

    def description(self) -> str:
        """The figures in words."""
        sentences = []
        for panel in self.panels:
            for core, points in panel.lines():
                pairs = ", ".join(f"{number(y)} at {x:,}" for x, y in points)
                sentences.append(f"{panel.title}, {core} core: {pairs}.")
        return f"{self.y_label.capitalize()} by {self.x_label}. " + " ".join(sentences)

    def draw(self) -> str:
        """The drawing, as SVG.  The same figures make the same text."""
        import matplotlib

        matplotlib.use("svg")
        matplotlib.rcParams.update({"svg.hashsalt": "livepatch", "svg.fonttype": "none", "font.size": 9})
        from matplotlib import pyplot
        from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

        figure, row = pyplot.subplots(
            1, len(self.panels), figsize=(8, 3.4), sharey=True, squeeze=False, layout="constrained"
        )
        for axes, panel in zip(row[0], self.panels):
            numbers = set()
            for core, points in panel.lines():
                axes.plot(
                    [x for x, _ in points],
                    [y for _, y in points],
                    color=COLOURS[core],
                    marker=MARKERS[core],
                    markersize=4,
                    label=f"{core} core",
                )
                numbers.update(x for x, _ in points)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(panel.title, fontsize=9)
            axes.set_xlabel(self.x_label)
            # A number that is near the one before it has no room for its label.
            ticks = []
            for x in sorted(numbers):
                if not ticks or x >= 3 * ticks[-1]:
                    ticks.append(x)
            axes.xaxis.set_major_locator(FixedLocator(ticks))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
            axes.yaxis.set_major_locator(LogLocator(numticks=12))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y)))
            axes.grid(True, which="major", color="#808080", alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        row[0][0].set_ylabel(self.y_label)
        row[0][0].legend(loc="best", frameon=False)
        figure.suptitle(self.title, fontsize=10)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
        return drawing.getvalue()

    def write(self, folder: str) -> None:
        """Writes the drawing to a file of its name in the directory."""
        text = re.sub(
            r"(<svg )([^>]*>\n)",
            lambda found: f'{found[1]}role="img" aria-labelledby="title description" {found[2]}'
            f'<title id="title">{escape(self.title)}</title>\n'
            f'<desc id="description">{escape(self.description())}</desc>\n{STYLE}',
            self.draw(),
            count=1,
        )
        # checkpatch.pl refuses spaces at the ends of lines.
        with open(os.path.join(folder, f"{self.name}.svg"), "w", encoding="utf-8") as file:
            file.writelines(f"{line.rstrip()}\n" for line in text.splitlines())
