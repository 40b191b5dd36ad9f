"""Report of the probe: a table, files, and fields of the checkpoint's ``config.json``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from longllama_code import __version__
from longllama_code.config import LongLlamaConfig
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.plots import heat_map
from longllama_code.research.evaluation.probe.data import Subject
from longllama_code.research.evaluation.probe.head_capture import by_layer
from longllama_code.research.evaluation.probe.head_choice import Change, Head, Step
from longllama_code.research.evaluation.probe.search import ProbeResult
from longllama_code.research.evaluation.report_files import model_identity, write_json

FORMAT = 1
SHOWN = 12


def memory_fields(result: ProbeResult) -> dict[str, Any]:
    """Return the fields of ``config.json`` that the result decides.

    Raises:
        ConfigError: no head was accepted.
    """
    if not result.accepted:
        raise ConfigError("no head was worth its memory; nothing is written.")
    chosen = by_layer(result.accepted)
    fields: dict[str, Any] = {
        "mem_layers": list(chosen),
        "mem_heads": {str(layer): heads for layer, heads in chosen.items()},
        "mem_format": None,  # the table is of other heads; `longllama table` makes one for these
    }
    if result.options.top_k is not None:
        fields["mem_top_k"] = result.top_k
    return fields


def write_report(loaded: LoadedModel, result: ProbeResult, folder: Path) -> list[Path]:
    """Write ``probe.json``, ``heads.png`` and ``heads.svg`` into a folder.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "probe.json"
    write_json(report, as_json(loaded, result))
    return [report, *_draw(loaded.trainable.config, result, folder / "heads")]


def as_json(loaded: LoadedModel, result: ProbeResult) -> dict[str, Any]:
    """Return the result in plain values, with all that it takes to repeat it."""
    model = loaded.model
    return {
        "format": FORMAT,
        "unit": "nats per token; mean over windows, error: standard error over windows",
        "model": {
            **model_identity(loaded),
            "layers": model.config.num_hidden_layers,
            "kv_heads": model.config.n_kv_heads,
            "segment_tokens": asdict(loaded.limits),
        },
        "versions": {
            "longllama": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "options": {**asdict(result.options), "top_k": result.top_k},
        "ranking_repositories": [_subject(subject) for subject in result.first],
        "choosing_repositories": [_subject(subject) for subject in result.second],
        "skipped_repositories": result.skipped,
        "ranking": [
            {**_head(head), "change": asdict(result.changes[head])} for head in result.ranked
        ],
        "local_loss": asdict(result.local),
        "steps": [_step(step) for step in result.steps],
        "accepted": [_head(head) for head in result.accepted],
        "config": memory_fields(result),
    }


def as_text(result: ProbeResult) -> str:
    """Return the result as lines to read."""
    lines = [
        f"memory in one head alone, {_count(result.first)}: change of loss, nats/token",
        *(f"  {_name(head)}  {_show(result.changes[head])}" for head in result.ranked[:SHOWN]),
        f"heads added one by one, {_count(result.second)}, without memory {_show(result.local)}",
    ]
    for step in result.steps:
        foreign = "" if step.foreign is None else f", another repository {_show(step.foreign)}"
        lines.append(
            f"  {_name(step.head)}  {step.verdict}: by {_show(step.gain)}, in all "
            f"{_show(step.own)}{foreign}"
        )
    fields = json.dumps(memory_fields(result)) if result.accepted else "no head"
    return "\n".join([*lines, f"found: {fields}"])


def _draw(config: LongLlamaConfig, result: ProbeResult, stem: Path) -> list[Path]:
    layers, heads = range(config.num_hidden_layers), range(config.n_kv_heads)
    values = [[result.changes[layer, head].mean for head in heads] for layer in layers]
    return heat_map(
        values,
        layers,
        heads,
        "Memory in one head alone",
        "key-value head",
        "layer",
        "change of loss (nats per token)",
        stem,
        limit=max(0.0, -result.changes[result.ranked[0]].mean) or None,  # show the heads that help
    )


def _subject(subject: Subject) -> dict[str, Any]:
    windows = [{"path": window.path, "start": window.start} for window in subject.windows]
    return {
        "name": subject.name,
        "digest": subject.digest,
        "memory_tokens": subject.memory.n_tokens,
        "memory_files": subject.memory.paths,
        "windows": windows,
    }


def _step(step: Step) -> dict[str, Any]:
    found = asdict(step)
    found.pop("head")
    return {**_head(step.head), **found}


def _head(head: Head) -> dict[str, int]:
    return {"layer": head[0], "head": head[1]}


def _name(head: Head) -> str:
    return f"layer {head[0]:2} head {head[1]:2}"


def _show(change: Change) -> str:
    error = "" if change.error is None else f" ± {change.error:.4f}"
    return f"{change.mean:+.4f}{error}"


def _count(subjects: list[Subject]) -> str:
    n_windows = sum(len(subject.windows) for subject in subjects)
    return f"{n_windows} windows of {len(subjects)} repositories"
