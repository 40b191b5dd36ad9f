"""Variants of a model: memory heads, selection, and the type and size of its memory."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from torch import nn

from longllama_code.config import LongLlamaConfig
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.segments.segmenter import Limits
from longllama_code.model.modeling import LongLlamaForCausalLM

FLOATS = "floats"


@dataclass(frozen=True)
class Ablation:
    """Changes to a model; None keeps the model's own value."""

    min_segment_tokens: int | None = None
    max_segment_tokens: int | None = None
    mem_top_k: int | None = None
    """0 means every key."""
    mem_read_keys: int | None = None
    """0 means every key."""
    mem_format: str | None = None
    """``floats`` means those of ``mem_dtype``, which variants with other heads always use."""
    mem_dtype: str | None = None
    mem_layers: tuple[int, ...] | None = None
    """Memory layers, with all of their heads unless ``mem_heads`` names some."""
    mem_heads: Mapping[str, list[int]] | None = None
    """Heads that see memory, by memory layer."""
    copies: bool = True
    """Whether a model with a gate copies from memory."""


def apply(loaded: LoadedModel, ablation: Ablation) -> LoadedModel:
    """Return a variant; the model given stays as it is, and so do its weights.

    Raises:
        ConfigError: the variant contradicts itself.
    """
    limits = _limits(loaded.limits, ablation)
    fields = _fields(ablation)
    if not fields:
        return replace(loaded, limits=limits)
    config = LongLlamaConfig.from_dict(
        {**copy.deepcopy(loaded.trainable.config.to_dict()), **fields}
    )
    model = LongLlamaForCausalLM(config).eval()
    model.load_state_dict(loaded.model.state_dict())
    cast("nn.Module", model).to(loaded.model.device, loaded.model.dtype)
    fingerprint = f"{loaded.fingerprint} {ablation}"
    return replace(loaded, model=model, limits=limits, fingerprint=fingerprint)


def _limits(own: Limits, ablation: Ablation) -> Limits:
    largest = ablation.max_segment_tokens or own.max_tokens
    requested = ablation.min_segment_tokens
    smallest = min(own.min_tokens, largest // 2) if requested is None else requested
    if not 0 <= smallest <= largest:
        raise ConfigError(
            f"segments of {smallest} to {largest} tokens were requested; give "
            "--min-segment-tokens that is no more than --max-segment-tokens."
        )
    return Limits(smallest, largest)


def _fields(ablation: Ablation) -> dict[str, object]:
    """Return fields of the configuration to replace."""
    fields: dict[str, object] = {}
    if ablation.mem_top_k is not None:
        fields["mem_top_k"] = ablation.mem_top_k or None
    if ablation.mem_read_keys is not None:
        fields["mem_read_keys"] = ablation.mem_read_keys or None
    if ablation.mem_format is not None:
        fields["mem_format"] = None if ablation.mem_format == FLOATS else ablation.mem_format
    elif ablation.mem_dtype or ablation.mem_layers or ablation.mem_heads:
        fields["mem_format"] = None
    if ablation.mem_dtype is not None:
        fields["mem_dtype"] = ablation.mem_dtype
    if not ablation.copies:
        fields["copy_gate"] = None
    if ablation.mem_heads is not None:
        fields["mem_layers"] = sorted(map(int, ablation.mem_heads))
        fields["mem_heads"] = dict(ablation.mem_heads)
    elif ablation.mem_layers is not None:
        fields["mem_layers"], fields["mem_heads"] = list(ablation.mem_layers), None
    return fields
