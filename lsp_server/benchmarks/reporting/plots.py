"""Pictures of summaries. Equal inputs give the same file."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from longllama_code.research.evaluation.plots import SALT, require_matplotlib

Json = Mapping[str, Any]


@contextmanager
def svg(path: Path, width: float, height: float) -> Generator[Any]:
    """Yield a figure of matplotlib, and write it as SVG.

    Args:
        path: the file.
        width: in inches.
        height: in inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    matplotlib = require_matplotlib()
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": SALT}):
        figure: Any = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def draw_bars(axes: Any, bars: Sequence[tuple[str, Json | None]], form: str) -> None:
    """Draw named means with their intervals, the first on top; published ones are grey.

    Args:
        axes: axes of matplotlib.
        bars: names and means; None for a mean of nothing.
        form: format of the figure beside each bar.
    """
    for number, (name, value) in enumerate(bars):
        if value is None:
            continue
        color = "0.6" if name.startswith("published") else "C0"
        axes.barh(number, value["mean"], color=color, height=0.6)
        if value["low"] is not None:
            axes.hlines(number, value["low"], value["high"], color="black", linewidth=1)
        end = max(0.0, value["mean"], value["high"] or 0.0)
        axes.text(end, number, f"  {value['mean']:{form}}", va="center")
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.grid(visible=True, axis="x", alpha=0.3)
