"""Report of measured and published results: JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.lengths.context_perplexity import (
    READINGS,
    ContextResult,
    Reading,
)
from longllama_code.research.evaluation.lengths.original_passkey import OriginalResult
from longllama_code.research.evaluation.published import results as published
from longllama_code.research.evaluation.published.harness import HarnessResult, HarnessRow
from longllama_code.research.evaluation.report_files import model_identity, write_json

FORMAT = 1
TITLES: Mapping[Reading, str] = {
    "memory": "last tokens local, the rest in memory",
    "local": "all of it local",
}
MB = 10**6


def write_passkey(loaded: LoadedModel, result: OriginalResult, folder: Path) -> list[Path]:
    """Write ``published-passkey.json`` and ``.md``."""
    cells = {length: _passkey_cell(result, length) for length in sorted(result.options.lengths)}
    content = {
        "unit": "share of trials whose greedy digits are all right, 0 to 1",
        "cells": [{"length": length, **cell} for length, cell in cells.items()],
        "trials": [{**asdict(trial), "right": trial.right} for trial in result.trials],
        "published": {"note": published.PASSKEY_NOTE, "LongLLaMA-3B": published.PASSKEY},
    }
    lines = [
        "One prompt of so many tokens, the number at a random place of it; all but the last tokens "
        "go through memory.",
        "",
        "| tokens | right | LongLLaMA-3B, published | keys and values, MB | a prompt, s |",
        "|---:|---:|---:|---:|---:|",
    ]
    for length in sorted({*cells, *published.PASSKEY}):
        cell = cells.get(length)
        shown = ("–", "–", "–")
        if cell is not None:
            shown = (
                f"{cell['accuracy']:.0%} of {cell['trials']}",
                f"{cell['memory_bytes'] / MB:,.0f}",
                f"{cell['seconds']:,.1f}",
            )
        right, size, seconds = shown
        theirs = _percent(published.PASSKEY.get(length))
        lines.append(f"| {length:,} | {right} | {theirs} | {size} | {seconds} |")
    notes = [published.PASSKEY_NOTE]
    return _write(loaded, "passkey", asdict(result.options), content, lines, notes, folder)


def write_perplexity(loaded: LoadedModel, result: ContextResult, folder: Path) -> list[Path]:
    """Write ``published-perplexity.json`` and ``.md``."""
    lengths = sorted(result.options.lengths)
    read = {row.reading for row in result.rows}
    readings: list[Reading] = [reading for reading in READINGS if reading in read]
    n_documents = len({row.document for row in result.rows})
    content = {
        "unit": "perplexity of the scored tokens; losses and changes in nats per token",
        "curve": [
            _curve_point(result, reading, length)
            for reading in readings
            for length in lengths
            if result.losses(reading, length)
        ],
        "rows": [asdict(row) for row in result.rows],
        "scored_tokens": result.scored,
        "too_small": result.too_small,
        "published": {
            "note": published.PERPLEXITY_NOTE,
            "corpora": published.CORPORA,
            "perplexity": published.PERPLEXITY,
        },
    }
    lines = [
        f"{n_documents} documents; of each, the same {result.scored} tokens at its end after so "
        "much context. The change is that of the loss against the shortest, in nats a token, "
        "with its error over documents.",
        "",
        f"| context | {' | '.join(f'{TITLES[r]} | change' for r in readings)} |",
        f"|---:|{'---:|---:|' * len(readings)}",
    ]
    for length in lengths:
        cells = (_perplexity_cell(result, reading, length) for reading in readings)
        lines.append(f"| {length:,} | {' | '.join(cells)} |")
    if result.too_small:
        listed = ", ".join(f"{name} ({n:,} tokens)" for name, n in result.too_small.items())
        lines += ["", f"Left out, as they have too few tokens: {listed}."]
    lines += ["", "Published:", "", *_published_perplexity()]
    notes = [published.PERPLEXITY_NOTE]
    return _write(loaded, "perplexity", asdict(result.options), content, lines, notes, folder)


def write_harness(loaded: LoadedModel, result: HarnessResult, folder: Path) -> list[Path]:
    """Write ``published-lm-eval.json`` and ``.md``."""
    options = asdict(result.options)
    path = result.options.include_path
    options["include_path"] = None if path is None else path.name
    content = {
        "harness": result.version,
        "results": [asdict(row) for row in result.rows],
        "published": {
            "note": published.HARNESS_NOTE,
            "models": published.HARNESS_MODELS,
            "results": {f"{t}/{m}": found for (t, m), found in published.HARNESS.items()},
        },
    }
    lines = [
        f"lm-evaluation-harness {result.version}; compared with published figures of other models.",
        "",
        f"| task | metric | measured | {' | '.join(published.HARNESS_MODELS)} |",
        f"|---|---|---:|{'---:|' * len(published.HARNESS_MODELS)}",
        *map(_harness_line, result.rows),
    ]
    return _write(loaded, "lm-eval", options, content, lines, [published.HARNESS_NOTE], folder)


def _write(
    loaded: LoadedModel,
    name: str,
    options: Mapping[str, Any],
    content: Mapping[str, Any],
    lines: Sequence[str],
    notes: Sequence[str],
    folder: Path,
) -> list[Path]:
    model = loaded.model
    fields = {
        "format": FORMAT,
        "model": {
            **model_identity(loaded),
            "window": model.config.window,
            "mem_layers": list(model.config.mem_layers),
            "mem_dtype": model.config.mem_dtype,
        },
        "options": options,
        **content,
    }
    folder.mkdir(parents=True, exist_ok=True)
    data, text = (folder / f"published-{name}.{kind}" for kind in ("json", "md"))
    write_json(data, fields)
    parts = [f"# {name}: {loaded.name}", "", *lines, "", *notes]
    text.write_text("\n".join(parts) + "\n", "utf-8")
    return [data, text]


def _passkey_cell(result: OriginalResult, length: int) -> dict[str, float]:
    trials = result.of(length)
    return {
        "trials": len(trials),
        "accuracy": fmean(trial.right for trial in trials),
        "memory_bytes": max(trial.memory_bytes for trial in trials),
        "seconds": fmean(trial.seconds for trial in trials),
    }


def _curve_point(result: ContextResult, reading: Reading, length: int) -> dict[str, Any]:
    change, error = result.change(reading, length)
    return {
        "reading": reading,
        "length": length,
        "perplexity": result.perplexity(reading, length),
        "change": None if change != change else change,
        "error": error,
    }


def _perplexity_cell(result: ContextResult, reading: Reading, length: int) -> str:
    if not result.losses(reading, length):
        return "– | –"
    change, error = result.change(reading, length)
    shown = "–" if change != change else f"{change:+.3f}"
    shown += "" if error is None else f" ± {error:.3f}"
    return f"{result.perplexity(reading, length):.2f} | {shown}"


def _published_perplexity() -> list[str]:
    lines = [
        f"| method | context | {' | '.join(published.CORPORA)} |",
        f"|---|---:|{'---:|' * len(published.CORPORA)}",
    ]
    for method, found in published.PERPLEXITY.items():
        for length, values in found.items():
            shown = " | ".join(f"{value:.2f}" for value in values)
            lines.append(f"| {method} | {length:,} | {shown} |")
    return lines


def _harness_line(row: HarnessRow) -> str:
    name = row.metric if row.filter == "none" else f"{row.metric} ({row.filter})"
    error = "" if row.error is None else f" ± {row.error:.3f}"
    found = published.HARNESS.get((row.task, row.metric))
    theirs = ["–"] * len(published.HARNESS_MODELS) if found is None else [f"{v:.2f}" for v in found]
    return f"| {row.task} | {name} | {row.value:.3f}{error} | {' | '.join(theirs)} |"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
