"""Summary of typing sessions as a picture: times to suggestions, and characters saved."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsp_server.benchmarks.reporting.plots import draw_bars, svg
from lsp_server.benchmarks.typing.rows import Row
from lsp_server.benchmarks.typing.summary import shown_times

Json = Mapping[str, Any]
_LINES = {"ms": "-", "asked_ms": ":"}


def plot(summary: Json, rows: Sequence[Row], path: Path) -> None:
    """Draw times to suggestions, and characters saved with their intervals, as SVG.

    The times are those of the first person. Equal inputs give the same file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with svg(path, 9.6, 3.6) as figure:
        left, right = figure.subplots(1, 2)
        _draw_times(left, rows)
        sides = summary["all"]["sides"]
        saved = [(f"{side['condition']}, {side['person']}", side["saved"]) for side in sides]
        draw_bars(right, saved, ".1%")
        right.set(xlabel="characters saved, share of all")
        figure.suptitle(f"Typing; slowdown {summary['rhythm']['slowdown']:g}")


def _draw_times(axes: Any, rows: Sequence[Row]) -> None:
    """Draw which share of suggestions came within a time."""
    good = [row for row in rows if row.error is None]
    first = [row for row in good if row.person == good[0].person]
    for number, condition in enumerate(dict.fromkeys(row.condition for row in first)):
        mine = [row for row in first if row.condition == condition]
        for of, line in _LINES.items():
            times = sorted(ms for each in shown_times(mine, of).values() for ms in each)
            shares = [(index + 1) / len(times) for index in range(len(times))]
            label = condition if of == "ms" else f"{condition}, asked of the model"
            axes.step(times, shares, line, where="post", color=f"C{number}", label=label)
    axes.set(xlabel="ms from a key to its suggestion", ylabel="share", xscale="log", ylim=(0, 1))
    axes.grid(visible=True, alpha=0.3)
    if first:
        axes.legend(fontsize="small")
