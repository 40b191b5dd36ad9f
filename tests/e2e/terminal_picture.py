"""Draws a terminal's screen as an SVG, for the documents."""

from collections.abc import Iterator
from html import escape
from itertools import groupby

import pyte
from pyte.screens import Char

CHAR_PX, LINE_PX, MARGIN_PX = 8.4, 18, 14
GROUND, INK = "#0d1117", "#e6edf3"
NO_BREAK = "\N{NO-BREAK SPACE}"
"""Stands for a blank, as several of those are drawn as one."""
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
NAMED = {
    "black": "#484f58",
    "red": "#ff7b72",
    "green": "#3fb950",
    "brown": "#d29922",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#56d4dd",
    "white": "#e6edf3",
    "brightblack": "#8b949e",
    "brightred": "#ffa198",
    "brightgreen": "#56d364",
    "brightbrown": "#e3b341",
    "brightblue": "#a5d6ff",
    "brightmagenta": "#e2c5ff",
    "brightcyan": "#76e3ea",
    "brightwhite": "#ffffff",
}


def draw(screen: pyte.Screen) -> str:
    """Return the SVG; the cursor is an outline."""
    width = 2 * MARGIN_PX + CHAR_PX * screen.columns
    height = 2 * MARGIN_PX + LINE_PX * screen.lines
    left = MARGIN_PX + CHAR_PX * screen.cursor.x
    top = MARGIN_PX + LINE_PX * screen.cursor.y
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' width="{width:.0f}" height="{height:.0f}">',
            f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>',
            f'<g font-family="{FONTS}" font-size="14">',
            *(part for row in range(screen.lines) for part in _line(screen, row)),
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{CHAR_PX}" height="{LINE_PX}"'
            f' fill="none" stroke="{INK}"/>',
            "</g></svg>\n",
        ]
    )


def _line(screen: pyte.Screen, row: int) -> Iterator[str]:
    """Yield what is drawn of a line: backgrounds, and texts of one style each."""
    cells = [screen.buffer[row][column] for column in range(screen.columns)]
    top, left = MARGIN_PX + LINE_PX * row, 0
    for style, group in groupby(cells, _style):
        text = "".join(cell.data for cell in group)
        x, (ink, ground, slant, weight) = MARGIN_PX + CHAR_PX * left, style
        left += len(text)
        if ground != GROUND:
            width = CHAR_PX * len(text)
            place = f'x="{x:.1f}" y="{top}" width="{width:.1f}" height="{LINE_PX}"'
            yield f'<rect {place} fill="{ground}"/>'
        if shown := text.strip():
            x += CHAR_PX * (len(text) - len(text.lstrip()))
            yield (
                f'<text x="{x:.1f}" y="{top + 13.5}" textLength="{CHAR_PX * len(shown):.1f}"'
                f' fill="{ink}"{slant}{weight}>{escape(shown).replace(" ", NO_BREAK)}</text>'
            )


def _style(cell: Char) -> tuple[str, str, str, str]:
    ink, ground = _colour(cell.fg, INK), _colour(cell.bg, GROUND)
    if cell.reverse:
        ink, ground = ground, ink
    slant = ' font-style="italic"' if cell.italics else ""
    return ink, ground, slant, ' font-weight="bold"' if cell.bold else ""


def _colour(name: str, default: str) -> str:
    return default if name == "default" else NAMED.get(name, f"#{name}")
