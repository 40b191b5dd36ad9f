"""Summary of a run as a picture: right answers of each condition, beside published runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]


def plot(summary: Json, path: Path) -> None:
    """Draw first lines right with their intervals, by condition, as SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    bars = _bars(summary)
    figure, axes = pyplot.subplots(figsize=(6.4, 0.6 + 0.42 * len(bars)))
    for number, (name, value) in enumerate(reversed(bars)):
        color = "0.6" if name.startswith("published") else "C0"
        axes.barh(number, value["mean"], color=color, height=0.6)
        if value["low"] is not None:
            axes.hlines(number, value["low"], value["high"], color="black", linewidth=1)
        axes.text(value["high"] or value["mean"], number, f"  {value['mean']:.3f}", va="center")
    axes.set_yticks(range(len(bars)), [name for name, _ in reversed(bars)])
    axes.set(xlabel="first line right", title=summary["benchmark"])
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _bars(summary: Json) -> list[tuple[str, Json]]:
    """Return names and values; those with published results if there are any."""
    subset = summary["with_published_results"]
    figures = subset if subset["conditions"] and subset["published"] else summary["all"]
    found = [(name, value["right"]) for name, value in figures["conditions"].items()]
    return found + [(f"published {name}", value) for name, value in subset["published"].items()]
