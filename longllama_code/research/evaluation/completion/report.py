"""The report of an evaluation: figures with their intervals as JSON, Markdown and a plot."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.bootstrap import N_RESAMPLES, Interval, Share, interval
from longllama_code.research.evaluation.completion.conditions import CONDITIONS
from longllama_code.research.evaluation.completion.heldout_loss import WindowRow
from longllama_code.research.evaluation.completion.lines import LINE_CLASSES
from longllama_code.research.evaluation.completion.metrics import METRICS
from longllama_code.research.evaluation.completion.repository import LineRow, Results
from longllama_code.research.evaluation.markdown import cell, table
from longllama_code.research.evaluation.plots import bars, heat_map

BASE = "local"
"""Condition that the others are compared with."""
MORE_BASES: Mapping[str, tuple[str, ...]] = {
    "both": ("own",),
    "attended": ("own",),
    "copied": ("own",),
    "after-memory": ("own",),
    "after-prompt": ("own", "after-memory"),
}
"""Further comparisons: conditions that extend another one are also compared with it."""
DISTRIBUTIONS = ("longllama-code-lsp", "torch", "transformers", "tokenizers", "numpy", "rapidfuzz")

Row = TypeVar("Row", LineRow, WindowRow)
Measure = Callable[[Row], Share]
Place = tuple[str, str, int]
"""Repository, path, and a line or the start of a window."""
Shares = Mapping[Place, Share]


@dataclass(frozen=True)
class Figure:
    """One figure of one condition."""

    measure: str
    kind: str
    """Class of lines, or of tokens for a loss."""
    condition: str
    value: Interval
    difference: Interval | None
    """Paired difference to the local condition."""
    perplexity_change_percent: float | None = None
    """Change of perplexity that the mean difference of a loss amounts to."""
    more_differences: Mapping[str, Interval] = field(default_factory=dict[str, Interval])
    """Paired differences to other conditions, by name."""


@dataclass(frozen=True)
class Cost:
    """Mean cost of one completion under a condition."""

    condition: str
    tokens: float
    seconds: float
    completions: int


def figures(results: Results, seed: int) -> list[Figure]:
    """Return every figure that was measured."""
    found: list[Figure] = []
    for kind in LINE_CLASSES:
        rows = [row for row in results.lines if row.kind == kind]
        for measure in METRICS:
            found += _figures(rows, measure, kind, _metric(measure), seed)
    found += _figures(results.windows, "loss", "all tokens", _loss, seed)
    return found + _figures(results.windows, "loss", "in-project", _project_loss, seed)


def costs(rows: Iterable[LineRow]) -> list[Cost]:
    """Return mean tokens and time of each condition; a line of two classes counts once."""
    once = {(row.condition, row.repository, row.path, row.line): row for row in rows}
    by_condition: dict[str, list[LineRow]] = {}
    for row in once.values():
        by_condition.setdefault(row.condition, []).append(row)
    return [
        Cost(
            condition,
            sum(row.tokens for row in of_condition) / len(of_condition),
            sum(row.seconds for row in of_condition) / len(of_condition),
            len(of_condition),
        )
        for condition, of_condition in by_condition.items()
    ]


def as_json(loaded: LoadedModel, results: Results, options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was measured, and what is needed to measure it again.

    Args:
        loaded: the model as it was run.
        results: what was measured.
        options: the command's options as plain values, ``seed`` among them.
    """
    return {
        "made_with": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": str(loaded.model.device),
            "versions": {name: _version(name) for name in DISTRIBUTIONS},
        },
        "options": dict(options),
        "model": {
            "name": loaded.name,
            "fingerprint": loaded.fingerprint,
            "dtype": str(loaded.model.dtype).removeprefix("torch."),
            "config": json.loads(loaded.trainable.config.to_json_string(use_diff=False)),
            "limits": asdict(loaded.limits),
        },
        "bootstrap": {"resamples": N_RESAMPLES, "level": 0.95, "over": "files"},
        "repositories": [_site(site) for site in results.sites],
        "figures": [asdict(figure) for figure in figures(results, options["seed"])],
        "costs": [asdict(cost) for cost in costs(results.lines)],
        "lines": [asdict(row) for row in results.lines],
        "windows": [asdict(row) for row in results.windows],
    }


def as_markdown(report: Mapping[str, Any]) -> str:
    """Return the tables of a report, as ``as_json`` gives it."""
    parts = [f"# Repository completion: {report['model']['name']}"]
    for measure in (*METRICS, "loss"):
        found = [figure for figure in report["figures"] if figure["measure"] == measure]
        if found:
            parts.append(_measure_table(measure, found))
    if report["costs"]:
        rows = [
            [
                cost["condition"],
                f"{cost['tokens']:.0f}",
                f"{cost['seconds']:.3f}",
                cost["completions"],
            ]
            for cost in report["costs"]
        ]
        parts.append("## Cost of a completion")
        parts.append(table(["condition", "tokens", "seconds", "completions"], rows))
    columns = ["name", "held_out", "remembered", "memory_tokens", "encoding_seconds"]
    sites = [
        [site["name"], len(site["held_out"]), len(site["remembered"]), site["memory_tokens"],
         f"{site['encoding_seconds']:.1f}"]
        for site in report["repositories"]
    ]  # fmt: skip
    parts += ["## Repositories", table([column.replace("_", " ") for column in columns], sites)]
    parts.append(
        "Intervals: 95%, bootstrap over files. Δ: paired difference to local, or to the condition "
        "named. Memory was encoded before; its cost is not in these numbers."
    )
    return "\n\n".join(parts) + "\n"


def write(
    loaded: LoadedModel, results: Results, options: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Write ``eval.json``, ``eval.md`` and plots into a folder, which is created.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = as_json(loaded, results, options)
    paths = [folder / "eval.json", folder / "eval.md"]
    paths[0].write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", "utf-8")
    paths[1].write_text(as_markdown(report), "utf-8")
    paths += _plot_lines(report["figures"], folder / "lines")
    if results.windows:
        paths += _plot_losses(figures(results, options["seed"]), folder / "loss")
    return paths


def _figures(
    rows: Sequence[Row], measure: str, kind: str, share: Measure[Row], seed: int
) -> list[Figure]:
    """Return a figure for each condition that measured anything."""
    by_condition: dict[str, dict[Place, Share]] = {}
    for row in rows:
        by_condition.setdefault(row.condition, {})[_key(row)] = share(row)
    found: list[Figure] = []
    for condition, shares in by_condition.items():
        value = interval(_by_file(shares), seed)
        if value is None:
            continue
        difference = None if condition == BASE else _paired(shares, by_condition[BASE], seed)
        change = None
        if measure == "loss" and difference is not None:
            change = 100 * math.expm1(difference.mean)
        bases = [base for base in MORE_BASES.get(condition, ()) if base in by_condition]
        more = {base: _paired(shares, by_condition[base], seed) for base in bases}
        known = {base: paired for base, paired in more.items() if paired is not None}
        found.append(Figure(measure, kind, condition, value, difference, change, known))
    return found


def _paired(shares: Shares, base: Shares, seed: int) -> Interval | None:
    """Return the difference between two conditions, line by line or window by window."""
    paired = {key: Share(mine.total - base[key].total, mine.count) for key, mine in shares.items()}
    return interval(_by_file(paired), seed)


def _key(row: LineRow | WindowRow) -> Place:
    """Return what pairs rows of different conditions: repository, path, and line or start."""
    place = row.line if isinstance(row, LineRow) else row.start
    return row.repository, row.path, place


def _by_file(shares: Shares) -> list[Share]:
    files: dict[tuple[str, str], Share] = {}
    for (repository, path, _), share in shares.items():
        before = files.get((repository, path), Share(0.0, 0))
        files[repository, path] = Share(before.total + share.total, before.count + share.count)
    return list(files.values())


def _metric(name: str) -> Measure[LineRow]:
    return lambda row: Share(row.metrics[name], 1)


def _loss(row: WindowRow) -> Share:
    return Share(row.loss, row.tokens)


def _project_loss(row: WindowRow) -> Share:
    return Share(row.project_loss, row.project_tokens)


def _site(site: Any) -> dict[str, Any]:
    return {
        "name": site.name,
        "sha256": site.digest,
        "held_out": sorted(site.held_out),
        "remembered": [file.path for file in site.files],
        "memory_tokens": site.n_tokens,
        "encoding_seconds": site.encoding_seconds,
    }


def _measure_table(measure: str, found: Sequence[Mapping[str, Any]]) -> str:
    digits = 4 if measure == "loss" else 3
    header = ["kind", "n", "condition", "value", "Δ"] + (
        ["perplexity"] if measure == "loss" else []
    )
    bases = list(dict.fromkeys(base for figure in found for base in figure["more_differences"]))
    header += [f"Δ {base}" for base in bases]
    rows: list[list[Any]] = []
    for figure in found:
        value, change = figure["value"], figure["perplexity_change_percent"]
        row = [
            figure["kind"],
            value["count"],
            figure["condition"],
            cell(value, f".{digits}f"),
        ]
        row.append(cell(figure["difference"], f"+.{digits}f"))
        if measure == "loss":
            row.append("" if change is None else f"{change:+.1f}%")
        row += [cell(figure["more_differences"].get(base), f"+.{digits}f") for base in bases]
        rows.append(row)
    title = "Loss, nats/token" if measure == "loss" else measure.replace("_", " ").capitalize()
    return f"## {title}\n\n" + table(header, rows)


def _plot_lines(found: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Plot each condition's change in the edit similarity of each class of lines."""
    cells = {
        (figure["kind"], figure["condition"]): figure["difference"]["mean"]
        for figure in found
        if figure["measure"] == "edit_similarity" and figure["difference"] is not None
    }
    if not cells:
        return []
    kinds = list(dict.fromkeys(kind for kind, _ in cells))
    conditions = [name for name in CONDITIONS if any((kind, name) in cells for kind in kinds)]
    values = [
        [cells.get((kind, condition), math.nan) for condition in conditions] for kind in kinds
    ]
    labels = ("Completed lines", "condition", "class of lines", "Δ edit similarity")
    return heat_map(values, kinds, conditions, *labels, stem)


def _plot_losses(found: Sequence[Figure], stem: Path) -> list[Path]:
    """Plot each condition's change in the loss, over all tokens and over names of the project."""
    series: dict[str, dict[str, Interval]] = {}
    for figure in found:
        if figure.measure == "loss" and figure.difference is not None:
            series.setdefault(figure.kind, {})[figure.condition] = figure.difference
    return bars(series, "Held-out loss against local context only", "condition", "nats/token", stem)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
