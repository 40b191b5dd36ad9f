"""The result of a run: low-rank updates as a file, and a model with the updates of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from longllama_code.checkpoints.low_rank import LowRankUpdates, load_updates, save_updates
from longllama_code.checkpoints.weight_paths import weight_files
from longllama_code.errors import CheckpointError
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.definition_layout import LAYOUT_VERSION
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model_sources.catalog import model_dir
from longllama_code.model_sources.fetching import sha256_of
from longllama_code.research.tuning.low_rank import add_updates, fill, parameters


def base_of(model: str) -> str:
    """Return the sha256 of a model's weights; of several files, that of their hashes.

    Raises:
        CheckpointError: it has no weights.
    """
    hashes = [sha256_of(path) for path in weight_files(model_dir(model))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def save_adapter(path: Path, model: LongLlamaForCausalLM, base: str, scale: float) -> None:
    """Write the updates of a model.

    Args:
        path: the file.
        model: the model, with updates.
        base: see ``base_of``.
        scale: alpha, divided by the rank.

    Raises:
        CheckpointError: the file would be too large.
    """
    tensors = {
        name: parameter.detach().cpu().numpy().astype(np.float16)
        for name, parameter in parameters(model).items()
    }
    save_updates(path, LowRankUpdates(base, LAYOUT_VERSION, scale, tensors))


def add_adapter(loaded: LoadedModel, path: Path, base: str) -> None:
    """Give a model the updates of a file.

    Args:
        loaded: the model, which is changed in place.
        path: the file.
        base: see ``base_of``.

    Raises:
        CheckpointError: the file is damaged, or belongs to another model or layout.
    """
    updates = load_updates(path)
    check_updates(updates, path, loaded.name, base)
    rank = min(min(each.shape) for each in updates.tensors.values())
    lowest = min(int(name.split(".")[2]) for name in updates.tensors)
    add_updates(loaded.trainable, rank, round(updates.scale * rank), lowest, seed=0)
    fill(
        loaded.trainable, {n: torch.from_numpy(each).float() for n, each in updates.tensors.items()}
    )


def check_updates(updates: LowRankUpdates, path: Path, model: str, base: str) -> None:
    """Refuse updates of another model, or for another layout of definitions.

    Args:
        updates: the updates.
        path: their file.
        model: name of the model.
        base: see ``base_of``.

    Raises:
        CheckpointError: they are.
    """
    if (updates.base, updates.layout) != (base, LAYOUT_VERSION):
        raise CheckpointError(
            f"{path} is for the model with sha256 {updates.base} and layout {updates.layout}; "
            f"{model} has {base} and layout {LAYOUT_VERSION}. Name the model that was tuned."
        )
