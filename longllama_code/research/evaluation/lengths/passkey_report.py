"""Report of retrieval: JSON, Markdown, and a heat map for each kind of needle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.lengths.needles import Kind
from longllama_code.research.evaluation.lengths.passkey import PasskeyResult, Trial
from longllama_code.research.evaluation.report_files import memory_identity, write_json

FORMAT = 1
NOTE = (
    "Memory is a set: depth is the place of the needle's file among the sorted paths, and tells "
    "where the file stood, not how far back the model looks. Segments are whole, so memory holds "
    "at most the tokens of its column."
)
TITLES: dict[Kind, str] = {
    "passkey": "Pass key in filler text",
    "constant": "Constant in real code",
}


def write_report(loaded: LoadedModel, result: PasskeyResult, folder: Path) -> list[Path]:
    """Write ``passkey.json``, ``passkey.md`` and a heat map (PNG, SVG) for each kind.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / "passkey.json", folder / "passkey.md"
    write_json(data, as_json(loaded, result))
    text.write_text(as_markdown(loaded.name, result), "utf-8")
    drawn = [path for kind in result.options.kinds for path in _draw(result, kind, folder)]
    return [data, text, *drawn]


def as_json(loaded: LoadedModel, result: PasskeyResult) -> dict[str, Any]:
    """Return the result in plain values, every trial among them."""
    return {
        "format": FORMAT,
        "unit": "share of trials whose greedy digits are all right, 0 to 1",
        "note": NOTE,
        "model": memory_identity(loaded),
        "options": asdict(result.options),
        "unreached_lengths": result.unreached,
        "summary": {kind: summary(result, kind) for kind in result.options.kinds},
        "cells": [
            {
                "kind": kind,
                "length": length,
                "depth": depth,
                **_means(cell),
            }
            for kind in result.options.kinds
            for length in result.options.lengths
            for depth in result.options.depths
            if (cell := result.cell(kind, length, depth))
        ],
        "trials": [asdict(trial) for trial in result.trials],
    }


def summary(result: PasskeyResult, kind: Kind) -> dict[str, float | int]:
    """Return the shares, from 0 to 1, over all trials of a kind; empty without trials."""
    trials = [trial for trial in result.trials if trial.kind == kind]
    if not trials:
        return {}
    return {"trials": len(trials), **_means(trials)}


def _means(trials: Sequence[Trial]) -> dict[str, float]:
    """Return mean shares from 0 to 1, and mean losses of whole answers in nats."""
    return {
        "accuracy": fmean(trial.right for trial in trials),
        "leading_digits": fmean(trial.leading for trial in trials),
        "accuracy_without_memory": fmean(trial.right_without for trial in trials),
        "accuracy_in_local_context": fmean(trial.right_shown for trial in trials),
        "answer_loss": fmean(trial.loss for trial in trials),
        "answer_loss_without_memory": fmean(trial.loss_without for trial in trials),
    }


def as_markdown(model: str, result: PasskeyResult) -> str:
    """Return the result as tables: a row for each depth, a column for each size of memory."""
    parts = [f"# Found again in memory: {model}\n", f"{NOTE}\n"]
    for kind in result.options.kinds:
        parts.append(f"## {TITLES[kind]}\n")
        whole = summary(result, kind)
        if whole:
            parts.append(
                f"{whole['trials']} trials: {whole['accuracy']:.0%} right with memory, "
                f"{whole['accuracy_without_memory']:.0%} without (guessed), "
                f"{whole['accuracy_in_local_context']:.0%} with the text in local context instead. "
                f"Of the digits, {whole['leading_digits']:.0%} are right before the first wrong "
                f"one. Loss of the right answer: {whole['answer_loss']:.2f} nats with memory, "
                f"{whole['answer_loss_without_memory']:.2f} without.\n"
            )
        parts.append(_table(result, kind))
        if kind in result.unreached:
            missing = ", ".join(f"{length:,}" for length in result.unreached[kind])
            parts.append(f"Not run, as the filler is too small: {missing} tokens.\n")
    return "\n".join(parts)


def _table(result: PasskeyResult, kind: Kind) -> str:
    lengths = sorted(result.options.lengths)
    lines = [
        f"| depth | {' | '.join(f'{length:,}' for length in lengths)} |",
        f"|---|{'---:|' * len(lengths)}",
    ]
    for depth in result.options.depths:
        cells = (result.accuracy(kind, length, depth) for length in lengths)
        shown = ("–" if cell != cell else f"{cell:.0%}" for cell in cells)
        lines.append(f"| {depth:g} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _draw(result: PasskeyResult, kind: Kind, folder: Path) -> list[Path]:
    from longllama_code.research.evaluation.plots import heat_map

    lengths, depths = sorted(result.options.lengths), result.options.depths
    values = [[result.accuracy(kind, length, depth) for length in lengths] for depth in depths]
    return heat_map(
        values,
        [f"{depth:g}" for depth in depths],
        [f"{length:,}" for length in lengths],
        TITLES[kind],
        "tokens of memory",
        "depth (place of file)",
        "share answered right",
        folder / f"passkey-{kind}",
        scale="sequential",
        limit=1.0,
    )
