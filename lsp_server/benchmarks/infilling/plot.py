"""Summary of a run as a picture: right answers of each condition, beside published runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_server.benchmarks.reporting.plots import draw_bars, svg

Json = Mapping[str, Any]


def plot(summary: Json, path: Path) -> None:
    """Draw first lines right with their intervals, by condition, as SVG.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    bars = _bars(summary)
    with svg(path, 6.4, 0.6 + 0.42 * len(bars)) as figure:
        axes = figure.subplots()
        draw_bars(axes, bars, ".3f")
        axes.set(xlabel="first line right", title=summary["benchmark"])


def _bars(summary: Json) -> list[tuple[str, Json | None]]:
    """Return names and values; those with published results if there are any."""
    subset = summary["with_published_results"]
    figures = subset if subset["conditions"] and subset["published"] else summary["all"]
    found: list[tuple[str, Json | None]] = [
        (name, value["right"]) for name, value in figures["conditions"].items()
    ]
    return found + [(f"published {name}", value) for name, value in subset["published"].items()]
