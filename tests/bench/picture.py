"""A picture of the demo, for the README: runs it, and draws what it printed as an SVG.

Usage: python tests/bench/picture.py [OUTPUT.svg]
"""

import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "editor-client" / "media" / "demo.svg"
LINE_PX, CHAR_PX, MARGIN_PX = 19, 8.4, 18
FONTS = "ui-monospace, Menlo, Consolas, monospace"
GHOST, PLAIN, DIM = "#8b949e", "#e6edf3", "#6e7681"


def demo_lines() -> list[str]:
    """Return the demo's output without a terminal."""
    command = [sys.executable, "-m", "lsp_server", "demo"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.rstrip().split("\n")


def draw(lines: list[str]) -> str:
    """Return an SVG of a terminal window; the suggestion, between ⟦ and ⟧, in grey italics."""
    width = MARGIN_PX * 2 + CHAR_PX * max(map(len, lines))
    height = MARGIN_PX * 2 + LINE_PX * (len(lines) + 1)
    rows = [_row(line, index) for index, line in enumerate(["$ make demo", *lines])]
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
    colour = DIM if line.startswith("      ") else PLAIN
    spans = escape(before)
    if opened:
        spans += f'<tspan fill="{GHOST}" font-style="italic">{escape(ghost)}</tspan>{escape(after)}'
    return f'<text x="{MARGIN_PX}" y="{y:.1f}" fill="{colour}" xml:space="preserve">{spans}</text>'


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else OUTPUT).write_text(draw(demo_lines()), "utf-8")
