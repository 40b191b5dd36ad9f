"""Load a checkpoint's folder into a model without transformers, if it needs none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longllama_code.checkpoints.completeness import (
    EMBEDDING,
    HEAD,
    check_none_missing,
    check_shape,
)
from longllama_code.checkpoints.ram import require_room
from longllama_code.checkpoints.weight_files import tensors
from longllama_code.checkpoints.weight_paths import weight_files
from longllama_code.model.plain_model import PlainModel
from longllama_code.model.rope import Rotary
from longllama_code.model_config import PlainConfig, plain_config


def load_plain(
    folder: Path, dtype: torch.dtype = torch.float32, device: str = "cpu", **overrides: Any
) -> PlainModel | None:
    """Load a model in evaluation mode, on ``device``, in ``dtype``.

    Args:
        folder: the checkpoint.
        dtype: the type to compute in.
        device: a torch device.
        overrides: configuration fields to replace.

    Returns:
        The model; None if it needs transformers, or its configuration cannot be read:
        ``checkpoints.loading.load_model`` loads it, or says what is wrong.

    Raises:
        CheckpointError: weights are missing, damaged or not those the configuration asks for.
    """
    config = plain_config(fields_of(folder), **overrides)
    if config is None:
        return None
    with torch.device("meta"):
        model = PlainModel(config)
    wanted = {name: weight.shape for name, weight in model.named_parameters()}
    if device == "cpu":
        require_room(
            sum(shape.numel() for shape in wanted.values()) * dtype.itemsize,
            f"{folder} in {str(dtype).removeprefix('torch.')}",
            "close other programs, or put ':int8' or ':int4' behind the model's name.",
        )
    found: dict[str, Tensor] = {}
    for name, weight in (each for path in weight_files(folder) for each in tensors(path)):
        if name in wanted:
            check_shape(folder, name, weight.shape, wanted[name])
            found[name] = weight.to(device, dtype, copy=True)
    return _filled(folder, model, config, found)


def fields_of(folder: Path) -> dict[str, Any]:
    """Return the fields of the ``config.json``; none if it cannot be read."""
    try:
        return {**json.loads((folder / "config.json").read_text("utf-8"))}
    except (OSError, TypeError, ValueError, RecursionError):
        return {}


def _filled(
    folder: Path, model: PlainModel, config: PlainConfig, found: dict[str, Tensor]
) -> PlainModel:
    """Return the model with weights by name, of which a tied model has the embedding twice."""
    if config.tie_word_embeddings and EMBEDDING in found:
        found[HEAD] = found[EMBEDDING]
    check_none_missing(folder, dict(model.named_parameters()).keys() - found.keys())
    model.load_state_dict(found, assign=True)
    if config.tie_word_embeddings:
        model.tie_weights()
    model.model.rotary = Rotary(config).to(found[EMBEDDING].device)  # has tables, in no file
    return model.requires_grad_(False).eval()
