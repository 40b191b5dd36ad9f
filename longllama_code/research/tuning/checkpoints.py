"""Checkpoints of a run: all that it needs to go on as if it had never stopped.

    checkpoint-<step>/   updates.safetensors, moments.safetensors (of AdamW), state.json

A checkpoint appears complete or not at all; the one before it is deleted afterwards.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from longllama_code.errors import CheckpointError

UPDATES, MOMENTS, STATE = "updates.safetensors", "moments.safetensors", "state.json"
BEST = "best.safetensors"
PARTIAL = "checkpoint.partial"
AVERAGES = ("exp_avg", "exp_avg_sq")


@dataclass
class RunState:
    """Where a run is.

    Attributes:
        step: steps of the optimizer so far.
        rows: rows so far.
        tokens: tokens so far.
        measured_at: tokens at the last measurement of the held-out loss; below 0 before the first.
        best: lowest held-out loss so far.
        best_at: tokens at which it was measured.
        seconds: time of all steps so far.
        ended: why the run ended, if it did.
    """

    step: int = 0
    rows: int = 0
    tokens: int = 0
    measured_at: int = -1
    best: float | None = None
    best_at: int = 0
    seconds: float = 0.0
    ended: str = ""


def save(
    folder: Path,
    state: RunState,
    updates: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    best: Mapping[str, Tensor],
) -> None:
    """Write a checkpoint, then delete those before it.

    Args:
        folder: of the run.
        state: where it is.
        updates: the parameters that are trained, by name.
        optimizer: AdamW of these parameters.
        best: their numbers when the held-out loss was lowest; none before it was measured.
    """
    partial, target = folder / PARTIAL, folder / f"checkpoint-{state.step}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_file({name: each.detach().cpu() for name, each in updates.items()}, partial / UPDATES)
    save_file(_moments(updates, optimizer), partial / MOMENTS)
    if best:
        save_file(dict(best), partial / BEST)
    (partial / STATE).write_text(json.dumps(asdict(state)) + "\n", "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    for former in found(folder)[:-1]:
        shutil.rmtree(former)


def load(
    folder: Path, updates: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[RunState, dict[str, Tensor]]:
    """Fill the parameters and the optimizer from the last checkpoint, if there is one.

    Returns:
        Where the run is, and the numbers of its best parameters.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    checkpoints = found(folder)
    if not checkpoints:
        return RunState(), {}
    last = checkpoints[-1]
    try:
        state = RunState(**json.loads((last / STATE).read_text("utf-8")))
        numbers, moments = load_file(last / UPDATES), load_file(last / MOMENTS)
        best = load_file(last / BEST) if (last / BEST).exists() else {}
        with torch.no_grad():
            for name, parameter in updates.items():
                parameter.copy_(numbers[name])
        _fill_moments(moments, updates, optimizer, state.step)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{last} is damaged ({error!r}); remove it, and the run begins anew."
        ) from error
    return state, best


def found(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the last one at the end."""
    paths = [path for path in folder.glob("checkpoint-*") if path.is_dir()]
    return sorted(paths, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _moments(
    updates: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    return {
        f"{name}.{average}": optimizer.state[parameter][average].detach().cpu()
        for name, parameter in updates.items()
        for average in AVERAGES
        if parameter in optimizer.state
    }


def _fill_moments(
    moments: Mapping[str, Tensor],
    updates: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    step: int,
) -> None:
    for name, parameter in updates.items():
        if f"{name}.{AVERAGES[0]}" in moments:
            kept: dict[str, Any] = {
                average: moments[f"{name}.{average}"].to(parameter.device) for average in AVERAGES
            }
            optimizer.state[parameter] = {"step": torch.tensor(float(step)), **kept}
