"""A picture of the demo, for the README: runs it, and draws what it printed as an SVG.

Usage: python tests/bench/picture.py [--from TRANSCRIPT] [OUTPUT.svg]

It runs in two to six minutes, by the machine; a transcript is what an earlier run printed.
"""

import argparse
import re
import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "pictures" / "demo.svg"
LINE_PX, CHAR_PX, MARGIN_PX = 19, 8.4, 18
FONTS = "ui-monospace, Menlo, Consolas, monospace"
GHOST, PLAIN, DIM = "#56d4dd", "#e6edf3", "#8b949e"
GREEN, YELLOW = "#3fb950", "#d29922"
NO_BREAK = "\N{NO-BREAK SPACE}"
"""Stands for a blank, as several of those are drawn as one."""
CODE = re.compile(r" {1,4}\d+ ")
PLACES_SHOWN = 2
"""Places of the demo in the picture; the rest is left out with a line that says so."""


def demo_lines() -> list[str]:
    """Return the demo's output without a terminal."""
    command = [sys.executable, "-m", "lsp_server", "demo"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.rstrip().split("\n")


def shortened(lines: list[str]) -> list[str]:
    """Return the first places, the edit and the sums; folders of this machine have no names."""
    starts = [index for index, line in enumerate(lines) if re.match(r"\d/\d ", line)]
    edit = next(index for index, line in enumerate(lines) if "is edited on disk" in line)
    first = min(PLACES_SHOWN, len(starts))
    left_out = f"({len(starts) - first} more)"
    end = starts[first] if first < len(starts) else edit
    shown = [*lines[:end], left_out, "", *lines[edit : lines.index("Next:") - 1]]
    return [re.sub(r", copied to .*", "", line) for line in shown]


def draw(lines: list[str]) -> str:
    """Return an SVG of a terminal; the suggestion, between ⟦ and ⟧, in another colour, slanted."""
    width = MARGIN_PX * 2 + CHAR_PX * max(map(len, lines))
    height = MARGIN_PX * 2 + LINE_PX * (len(lines) + 1)
    rows = [_row(line, index) for index, line in enumerate(["$ longllama-lsp demo", *lines])]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
            f'width="{width:.0f}" height="{height}">',
            '<rect width="100%" height="100%" rx="10" fill="#0d1117"/>',
            f'<g font-family="{FONTS}" font-size="14" fill="{PLAIN}">',
            *rows,
            "</g>",
            "</svg>",
            "",
        ]
    )


def _row(line: str, index: int) -> str:
    y = MARGIN_PX + LINE_PX * (index + 0.75)
    before, opened, rest = line.partition("⟦")
    ghost, _, after = rest.partition("⟧")
    spans = _drawn(before)
    if opened:
        spans += f'<tspan fill="{GHOST}" font-style="italic">{_drawn(ghost)}</tspan>{_drawn(after)}'
    return f'<text x="{MARGIN_PX}" y="{y:.1f}" fill="{_colour(line)}">{spans}</text>'


def _colour(line: str) -> str:
    """Return the colour of a line: results by what they say, code plain, the rest dimmer."""
    words = line.strip()
    if words.startswith("right;") or re.match(r"with the project: \d", words):
        return GREEN
    if words.startswith("not right;") or re.match(r"the file alone: \d", words):
        return YELLOW
    return PLAIN if CODE.match(line) or not line.startswith("      ") else DIM


def _drawn(text: str) -> str:
    return escape(text).replace(" ", NO_BREAK)


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", type=Path, dest="transcript", metavar="TRANSCRIPT")
    parser.add_argument("output", nargs="?", type=Path, default=OUTPUT)
    options = parser.parse_args()
    given = options.transcript
    lines = given.read_text("utf-8").rstrip().split("\n") if given else demo_lines()
    options.output.write_text(draw(shortened(lines)), "utf-8")


if __name__ == "__main__":
    main()
