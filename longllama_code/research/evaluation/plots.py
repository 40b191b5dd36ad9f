"""Figures of reports; equal inputs give the same SVG byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from longllama_code.errors import ConfigError
from longllama_code.research.evaluation.bootstrap import Interval

MAX_ANNOTATED_CELLS = 150
"""Maximum number of cells in which figures are legible."""
PNG_DPI = 150
SALT = "longllama"
"""Seed of the ids inside an SVG, which matplotlib otherwise draws at random."""

Draw = Callable[[Any, Any], None]
"""Draws on a figure and its axes (matplotlib is typed in part, and imported late)."""


def heat_map(
    values: list[list[float]],
    rows: Sequence[object],
    columns: Sequence[object],
    title: str,
    x_label: str,
    y_label: str,
    colour_label: str,
    stem: Path,
    scale: Literal["diverging", "sequential"] = "diverging",
    limit: float | None = None,
) -> list[Path]:
    """Write a grid of coloured cells as ``stem.png`` and ``stem.svg``.

    Args:
        values: a row of cells for each of ``rows``, one cell for each of ``columns``; nan is blank.
        rows: labels down the y axis.
        columns: labels along the x axis.
        title: what stands above.
        x_label: what columns are.
        y_label: what rows are.
        colour_label: what the colour means, with its unit.
        stem: the path of both files without their suffix; its folder is created.
        scale: diverging puts zero in the middle (blue below, red above); sequential does not.
        limit: where colours end, so that one far cell does not drown the others, and beginning at
            0 where the scale is sequential; absent, at the furthest cell.

    Raises:
        ConfigError: matplotlib is not installed.
        ValueError: ``values`` do not fit the labels.
    """
    if len(values) != len(rows) or any(len(row) != len(columns) for row in values):
        raise ValueError(f"values must be {len(rows)} rows of {len(columns)} cells.")

    def draw(figure: Any, axes: Any) -> None:
        image = axes.imshow(values, aspect="auto", **_colours(values, scale, limit))
        axes.set_xticks(range(len(columns)), [str(label) for label in columns])
        axes.set_yticks(range(len(rows)), [str(label) for label in rows])
        figure.colorbar(
            image,
            ax=axes,
            label=colour_label,
            extend="both" if limit and scale == "diverging" else "neither",
        )
        if len(rows) * len(columns) <= MAX_ANNOTATED_CELLS:
            _annotate(axes, image, values)

    size = (max(4.0, 2.2 + 0.75 * len(columns)), max(3.0, 1.2 + 0.26 * len(rows)))
    return _write(draw, size, (title, x_label, y_label), stem)


def curves(
    series: Mapping[str, list[tuple[float, float]]],
    title: str,
    x_label: str,
    y_label: str,
    stem: Path,
    log_x: bool = False,
) -> list[Path]:
    """Write lines through (x, y) points, one for each name, as ``stem.png`` and ``stem.svg``.

    Args:
        series: name in the legend → points, in the order in which they are joined.
        title: what stands above.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        stem: the path of both files without their suffix; its folder is created.
        log_x: whether the x axis is logarithmic.

    Raises:
        ConfigError: matplotlib is not installed.
    """

    def draw(_: Any, axes: Any) -> None:
        for name, points in series.items():
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
        if log_x:
            axes.set_xscale("log")
        axes.grid(visible=True, alpha=0.3)
        if series:
            axes.legend()

    return _write(draw, (6.4, 4.2), (title, x_label, y_label), stem)


def bars(
    series: Mapping[str, Mapping[str, Interval]],
    title: str,
    x_label: str,
    y_label: str,
    stem: Path,
) -> list[Path]:
    """Write groups of bars with their intervals as ``stem.png`` and ``stem.svg``.

    Args:
        series: name in the legend → label on the x axis → value; a label may be missing in some.
        title: what stands above.
        x_label: what the labels are.
        y_label: what the values are, with their unit.
        stem: the path of both files without their suffix; its folder is created.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    labels = list(dict.fromkeys(label for values in series.values() for label in values))
    width = 0.8 / max(1, len(series))

    def draw(_: Any, axes: Any) -> None:
        for number, (name, values) in enumerate(series.items()):
            shown = [label for label in labels if label in values]
            places = [labels.index(label) - 0.4 + width * (number + 0.5) for label in shown]
            found = [values[label] for label in shown]
            means = [one.mean for one in found]
            reach = [
                [0.0 if one.low is None else one.mean - one.low for one in found],
                [0.0 if one.high is None else one.high - one.mean for one in found],
            ]
            axes.bar(places, means, width, yerr=reach, capsize=3, label=name)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xticks(range(len(labels)), labels)
        axes.grid(visible=True, axis="y", alpha=0.3)
        if series:
            axes.legend()

    return _write(draw, (6.4, 4.2), (title, x_label, y_label), stem)


def require_matplotlib() -> Any:
    """Return matplotlib; call it before long work that needs it in the end.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError(
            "drawing needs matplotlib, which is not installed; run "
            "pip install 'longllama-code-lsp[eval]'."
        ) from error
    return matplotlib


def _write(
    draw: Draw, size: tuple[float, float], labels: tuple[str, str, str], stem: Path
) -> list[Path]:
    """Draw once and save twice; a canvas of its own, so that no global state or screen is used."""
    matplotlib = require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg")]
    with matplotlib.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "none"}):
        figure: Any = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        draw(figure, axes)
        title, x_label, y_label = labels
        axes.set(title=title, xlabel=x_label, ylabel=y_label)
        figure.savefig(paths[0], dpi=PNG_DPI, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def _colours(values: list[list[float]], scale: str, limit: float | None) -> dict[str, Any]:
    if scale == "sequential":
        return {"cmap": "viridis"} | ({} if limit is None else {"vmin": 0.0, "vmax": limit})
    cells = (abs(cell) for row in values for cell in row if cell == cell)
    furthest = limit or max(cells, default=0.0) or 1.0
    return {"cmap": "RdBu_r", "vmin": -furthest, "vmax": furthest}


def _annotate(axes: Any, image: Any, values: list[list[float]]) -> None:
    """Write each cell's value into it, in white where its colour is dark."""
    for row, cells in enumerate(values):
        for column, cell in enumerate(cells):
            if cell != cell:
                continue
            red, green, blue, _ = image.cmap(image.norm(cell))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axes.text(
                column,
                row,
                f"{cell:.3g}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
