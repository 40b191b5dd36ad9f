"""One pass of the model over a batch: first what stands before the open file, then that file."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rope import rotate
from longllama_code.research.tuning.batch import Batch

KeysAndValues = tuple[Tensor, Tensor]
"""Rotated keys and values of one layer, each (B, G, P, D)."""


class _Before:
    """Keys and values that each layer has before those of its input."""

    mass = None  # nobody asks which of them were attended to

    def __init__(self, layers: list[KeysAndValues]) -> None:
        self._layers = layers

    def append(
        self, layer_idx: int, rotated: Tensor, _position_zero_keys: Tensor, values: Tensor
    ) -> KeysAndValues:
        """Return all keys and values; nothing is kept, so a layer may run twice."""
        before = self._layers[layer_idx]
        return torch.cat((before[0], rotated), -2), torch.cat((before[1], values), -2)


def middle_logits(
    model: LongLlamaForCausalLM, batch: Batch, *, definition_gradients: bool = True
) -> Tensor:
    """Return the logits of each token that is to be written, float32 (N, V).

    Args:
        model: the model.
        batch: the rows.
        definition_gradients: whether gradients reach what stands before the open file.
    """
    # Updates are float32 whatever the model is; products are in the model's type.
    with torch.autocast(model.device.type, model.dtype, model.dtype != torch.float32):
        with torch.set_grad_enabled(definition_gradients and torch.is_grad_enabled()):
            before = encoded(model, batch)
        hidden = _read(model, batch, before)
        # The token before each one predicts it.
        wanted = model.model.norm(hidden[batch.rows, batch.indices - 1])
        return model.lm_head(wanted).float()


def _read(model: LongLlamaForCausalLM, batch: Batch, before: list[KeysAndValues]) -> Tensor:
    """Return the last layer's output for the open file, (B, S, E)."""
    hidden = model.model.embed_tokens(batch.local)
    cache = cast("Any", _Before(before))
    run = model.model.run_layers(hidden, batch.local_positions, batch.local_visible, cache=cache)
    for _, output, _, _ in run:
        hidden = output
    return hidden


def encoded(model: LongLlamaForCausalLM, batch: Batch) -> list[KeysAndValues]:
    """Return rotated keys and values of each layer for what stands before the open file."""
    inner = model.model
    hidden = inner.embed_tokens(batch.before)
    rotation = inner.rotary(hidden, batch.before_positions).local
    scale = inner.rotary.position_zero_scale
    run = inner.run_layers(hidden, batch.before_positions, batch.before_visible)
    return [(rotate(keys / scale, *rotation), values) for _, _, keys, values in run]
