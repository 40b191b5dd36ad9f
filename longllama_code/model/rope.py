"""Rotary position embeddings for local keys and queries, and for keys that go to memory.

Source: RoFormer (arXiv 2104.09864); frequencies and scalings are those of transformers' Llama,
which is imported for models that transformers runs alone.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from longllama_code.model_config import ModelConfig, PlainConfig

CosSin = tuple[Tensor, Tensor]
"""Cosines and sines that rotate heads."""


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines for the S tokens of a forward pass."""

    local: CosSin
    """For each token's position in the window, each (B, 1, S, D)."""
    memory: CosSin
    """For the position from which each query looks at memory, broadcastable to (B, 1, S, D)."""


class Rotary(nn.Module):
    """Cosines and sines of positions counted from the first token of the window."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.frequencies = _frequencies(config)

    def forward(self, like: Tensor, positions: Tensor) -> Rotation:
        """Return the rotation of tokens at positions (B, S), in the dtype of ``like``."""
        local = self._cos_sin(like, positions)
        if self.config.mem_query_position is None:
            return Rotation(local, local)
        fixed = positions.new_full((1, 1), self.config.mem_query_position)
        return Rotation(local, self._cos_sin(like, fixed))

    def _cos_sin(self, like: Tensor, positions: Tensor) -> CosSin:
        cos, sin = self.frequencies(like, positions)
        return cos[:, None], sin[:, None]

    @property
    def position_zero_scale(self) -> float:
        """Factor that the rotation to position 0 applies: 1, except under scalings like YaRN."""
        return cast("float", self.frequencies.attention_scaling)


class PlainFrequencies(nn.Module):
    """Cosines and sines without scaling, bit for bit those of transformers' Llama."""

    attention_scaling = 1.0

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        size = config.head_dim or config.hidden_size // config.num_attention_heads
        exponents = torch.arange(0, size, 2, dtype=torch.float) / size
        self.register_buffer("inv_freq", 1.0 / (config.rope_theta**exponents), persistent=False)
        self.inv_freq: Tensor

    @torch.no_grad()
    def forward(self, like: Tensor, positions: Tensor) -> CosSin:
        """Return cosines and sines (B, S, D) of positions (B, S), in the dtype of ``like``."""
        halves = positions[..., None].float() * self.inv_freq
        angles = torch.cat((halves, halves), dim=-1)
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def _frequencies(config: ModelConfig) -> Any:
    if isinstance(config, PlainConfig):
        return PlainFrequencies(config)
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    return LlamaRotaryEmbedding(cast("Any", config))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (B, H, S, D) by the positions behind ``cos`` and ``sin`` (B, 1, S, D)."""
    return x * cos + rotate_half(x) * sin


def rotate_half(x: Tensor) -> Tensor:
    """Rotate the pairs (i, i + D/2) of the last dimension by 90 degrees."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def rotate_to_position_zero(x: Tensor, scale: float) -> Tensor:
    """Rotate keys to position 0, where the angle is 0 and only the scaling is left.

    This makes memory a set: a stored key does not tell where in its text the token stood.
    Source: ``modeling_longllama.py:rotate_as_if_first``.
    """
    return x if scale == 1.0 else x * scale
