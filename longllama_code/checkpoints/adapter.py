"""Adapters: weights that tuning changed, which replace those of a base model.

A safetensors file of whole tensors under the names of ``LongLlamaForCausalLM``; nothing needs to
know how they came about.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from longllama_code.checkpoints.saving import save_tensors
from longllama_code.errors import CheckpointError

WEIGHTS = "model.safetensors"


def merge_adapter(adapter: Path, folder: Path) -> None:
    """Replace the tensors of ``folder``'s ``model.safetensors`` that an adapter names.

    They keep the type that the model has them in.

    Raises:
        CheckpointError: the adapter is damaged, or belongs to a model of other names or shapes; or
            the disk is full.
    """
    path = folder / WEIGHTS
    try:
        changed, weights = load_file(adapter), load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{adapter} cannot be merged into {folder} ({error}): both need to be safetensors "
            "files; fetch or train the adapter again."
        ) from error
    for name, tensor in changed.items():
        _check(adapter, name, tensor, weights)
        weights[name] = tensor.astype(weights[name].dtype)
    save_tensors(path, weights, {"format": "pt"})


def _check(adapter: Path, name: str, tensor: np.ndarray, weights: dict[str, np.ndarray]) -> None:
    if name not in weights:
        raise CheckpointError(
            f"{adapter} changes {name!r}, which the model does not have; it was made for another "
            "model. Name that one."
        )
    if tensor.shape != weights[name].shape:
        raise CheckpointError(
            f"{adapter} has {name!r} of shape {tensor.shape}, the model of {weights[name].shape}; "
            "it was made for another model. Name that one."
        )
