"""Rounding of a definition's keys and values, and their layout in bytes.

    | key steps | key zeros | value lows | value steps | key codes | value codes |

A channel of keys has 8 bits, with a step and a zero of its own: some channels are large for every
token. A token's values have 4 bits, with a step and a lowest value for each head. Both lose nothing
that a measurement finds (decision 48).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from longllama_code.config import LongLlamaConfig
from longllama_code.generation.decoding.stored_openings import Opening

KEY_STEPS, VALUE_STEPS = 255, 15
MAX_ZERO = 30_000
"""Largest distance of a channel's lowest key from zero, in steps."""
SMALLEST_STEP = 1e-4
"""Step of numbers that are all the same."""


@dataclass(frozen=True)
class RoundedFormat:
    """Format of the rounded keys and values of one model."""

    n_layers: int
    n_heads: int
    """Number of key-value heads of a layer."""
    head_dim: int

    @classmethod
    def of(cls, config: LongLlamaConfig) -> RoundedFormat:
        """Return the format for a model."""
        head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        return cls(config.num_hidden_layers, config.n_kv_heads, head_dim)

    def n_bytes(self, n_tokens: int) -> int:
        """Return the bytes of a definition of some tokens."""
        return sum(self._sizes(n_tokens))

    def pack(self, opening: Opening) -> Tensor:
        """Return rotated keys and values, each (layers, G, n, D), in bytes."""
        zeros, key_steps, key_codes = _rounded_keys(opening.keys.float())
        lows, value_steps, value_codes = _rounded_values(opening.values.float())
        parts = key_steps, zeros, lows, value_steps, key_codes, value_codes
        return torch.cat([part.contiguous().view(torch.uint8).flatten() for part in parts])

    def unpack(self, content: Tensor, n_tokens: int) -> Opening:
        """Return the keys and values of bytes that ``pack`` returned, up to their rounding."""
        parts = content[: self.n_bytes(n_tokens)].split(self._sizes(n_tokens))
        heads = self.n_layers, self.n_heads
        key_steps, zeros = parts[0].view(torch.float16), parts[1].view(torch.int16)
        codes = parts[4].view(*heads, n_tokens, self.head_dim)
        keys = codes.float().add_(zeros.view(*heads, 1, -1)).mul_(key_steps.view(*heads, 1, -1))
        lows, value_steps = (part.view(torch.float16).float() for part in parts[2:4])
        packed = parts[5].view(*heads, n_tokens, self.head_dim // 2)
        values = torch.cat((packed & 15, packed >> 4), dim=-1).float()
        values = values.mul_(value_steps.view(*heads, -1, 1)).add_(lows.view(*heads, -1, 1))
        return Opening(keys, values)

    def _sizes(self, n_tokens: int) -> list[int]:
        """Return the bytes of each part."""
        n_heads = self.n_layers * self.n_heads
        of_channels, of_tokens = 2 * n_heads * self.head_dim, 2 * n_heads * n_tokens
        n_keys = n_heads * n_tokens * self.head_dim
        return [of_channels, of_channels, of_tokens, of_tokens, n_keys, n_keys // 2]


def _rounded_keys(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the zero of each channel in steps, its step, and the codes of keys."""
    low, high = keys.aminmax(dim=-2, keepdim=True)
    least = torch.maximum(low.abs() / MAX_ZERO, torch.tensor(SMALLEST_STEP))
    step = _up_to_half(torch.maximum((high - low) / KEY_STEPS, least))
    zero = (low / step.float()).round()
    codes = (keys / step.float() - zero).round_().clamp_(0, KEY_STEPS)
    return zero.to(torch.int16), step, codes.to(torch.uint8)


def _rounded_values(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lowest value of each token and head, its step, and two codes in each byte."""
    low, high = values.aminmax(dim=-1, keepdim=True)
    low = low.half()
    step = _up_to_half(((high - low.float()) / VALUE_STEPS).clamp_min(SMALLEST_STEP))
    codes = ((values - low.float()) / step.float()).round_().clamp_(0, VALUE_STEPS)
    first, second = codes.to(torch.uint8).chunk(2, dim=-1)
    return low, step, first | second << 4


def _up_to_half(steps: Tensor) -> Tensor:
    """Return steps as halves that are at least as large, so that all codes are in range."""
    return (steps * (1 + 2**-10)).half()
