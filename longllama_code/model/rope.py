"""Rotary positions, for local keys and queries and for keys that go to memory.

Source: RoFormer (arXiv 2104.09864); frequencies and scalings follow transformers' Llama.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from longllama_code.config import LongLlamaConfig

Turn = tuple[Tensor, Tensor]
"""Cosines and sines."""


@dataclass(frozen=True)
class Rotation:
    """What turns the S tokens of a forward pass."""

    own: Turn
    """Of each token's position, each (B, 1, S, D)."""
    asking: Turn
    """Of the position at which its query asks memory, each broadcastable to (B, 1, S, D)."""


class Rotary(nn.Module):
    """Tables of cosines and sines for positions counted from the first token of the window."""

    def __init__(self, config: LongLlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.frequencies = LlamaRotaryEmbedding(config)

    def forward(self, like: Tensor, positions: Tensor) -> Rotation:
        """The rotation of tokens at positions (B, S), in the type of ``like``."""
        own = self._table(like, positions)
        if self.config.mem_query_position is None:
            return Rotation(own, own)
        fixed = positions.new_full((1, 1), self.config.mem_query_position)
        return Rotation(own, self._table(like, fixed))

    def _table(self, like: Tensor, positions: Tensor) -> Turn:
        cos, sin = self.frequencies(like, positions)
        return cos[:, None], sin[:, None]

    @property
    def first_scale(self) -> float:
        """What the rotation of position 0 multiplies by: 1, save under YaRN-like scalings."""
        return cast("float", self.frequencies.attention_scaling)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (B, H, S, D) by the positions behind ``cos`` and ``sin`` (B, 1, S, D)."""
    return x * cos + rotate_half(x) * sin


def rotate_half(x: Tensor) -> Tensor:
    """Turn the pairs (i, i + D/2) of the last dimension by a quarter."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def rotate_as_first(x: Tensor, scale: float) -> Tensor:
    """The key of a token as if it stood first: position 0 turns nothing, so only scales.

    This is what makes memory a set: a stored key says nothing about where it stood.
    Source: ``modeling_longllama.py:rotate_as_if_first``.
    """
    return x if scale == 1.0 else x * scale
