"""Rounding of a definition's keys and values, and their layout in bytes.

    | key steps | key zeros | value scales | value lows | key codes | value codes |

A channel of keys has 4 bits, with a step and a zero of its own: some channels are large for every
token. They are rounded without their rotation, which would spread them.

A token's values have 4 bits, with a step and a lowest value for each head; or 2 bits, with a scale
for each head. Before they get 2 bits, every eight channels that are D/8 apart are mixed by an
orthogonal matrix of Hadamard's. Their distribution is then nearly normal, for which the four levels
with the least squared error are known (J. Max, "Quantizing for minimum distortion", 1960).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.generation.definition_memory.spreading import (
    MIXED,
    Addresses,
    spread_keys,
    spread_mixed_values,
    spread_values,
)
from longllama_code.model.caches import LayerRows
from longllama_code.model_config import ModelConfig

CosSin = tuple[Tensor, Tensor]
KEY_STEPS, VALUE_STEPS = 15, 15
MAX_ZERO = 30_000
"""Largest distance of a channel's lowest key from zero, in steps."""
SMALLEST_STEP = 1e-4
"""Step of numbers that are all the same."""
LARGEST_SCALE = 60_000.0
"""Largest scale; a half has none above 65,504."""
BETWEEN = 0.9816
"""Where the upper two of four levels part, in units of the scale."""


@dataclass(frozen=True)
class Rows:
    """Rows of a cache, into which definitions are written."""

    layers: LayerRows

    @cached_property
    def addresses(self) -> tuple[Addresses, Addresses]:
        """Address of the first token's keys and of its values, for each head of all layers."""
        keys, values = zip(*self.layers, strict=True)
        return _addresses(keys), _addresses(values)


@dataclass(frozen=True)
class RoundedFormat:
    """Format of the rounded keys and values of one model."""

    n_layers: int
    n_heads: int
    """Number of key-value heads of a layer."""
    head_dim: int
    value_bits: int = 4
    """4 or 2."""

    @classmethod
    def of(cls, config: ModelConfig, value_bits: int = 4) -> RoundedFormat:
        """Return the format for a model; heads whose channels cannot be mixed keep 4 bits."""
        head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        value_bits = value_bits if head_dim % MIXED == 0 else 4
        return cls(config.num_hidden_layers, config.n_kv_heads, head_dim, value_bits)

    def n_bytes(self, n_tokens: int) -> int:
        """Return the bytes of a definition of some tokens."""
        return sum(self._sizes(n_tokens))

    def pack(self, opening: Opening, rotation: CosSin) -> Tensor:
        """Return keys and values in bytes.

        Args:
            opening: rotated keys and values, each (layers, G, n, D).
            rotation: cosines and sines of the tokens' positions, each (n, D).
        """
        zeros, key_steps, key_codes = _rounded_keys(_unrotated(opening.keys.float(), rotation))
        of_values = _mixed_values if self.value_bits == 2 else _rounded_values
        scales, lows, value_codes = of_values(opening.values.float())
        parts = key_steps, zeros, scales, lows, key_codes, value_codes
        return torch.cat([part.contiguous().view(torch.uint8).flatten() for part in parts])

    def spread(self, content: Tensor, rotation: CosSin, rows: Rows, at: int) -> None:
        """Write keys and values, up to their rounding, into rows of a cache.

        Args:
            content: bytes that ``pack`` returned, and more, perhaps.
            rotation: cosines and sines of the tokens' positions, each (n, D).
            rows: of each layer, in float32 on a CPU, written from token ``at`` on.
            at: first token.
        """
        n_tokens, n_heads = len(rotation[0]), self.n_layers * self.n_heads
        parts = content[: self.n_bytes(n_tokens)].split(self._sizes(n_tokens))
        steps, scales, lows = (
            parts[part].view(torch.float16).float().view(n_heads, -1).numpy() for part in (0, 2, 3)
        )
        zeros = parts[1].view(torch.int16).view(n_heads, -1).numpy()
        codes, packed = (part.view(n_heads, n_tokens, -1).numpy() for part in parts[4:])
        cos, sin = (part.contiguous().numpy() for part in rotation)
        keys, values = (first + 4 * self.head_dim * at for first in rows.addresses)
        spread_keys(codes, zeros, steps, cos, sin, keys)
        if self.value_bits == 2:
            spread_mixed_values(packed, scales, values)
        else:
            spread_values(packed, lows, scales, values)

    def _sizes(self, n_tokens: int) -> list[int]:
        """Return the bytes of each part."""
        n_heads = self.n_layers * self.n_heads
        of_channels, of_tokens = 2 * n_heads * self.head_dim, 2 * n_heads * n_tokens
        n_numbers, of_lows = n_heads * n_tokens * self.head_dim, 0
        if self.value_bits == 4:
            of_lows = of_tokens
        of_values = n_numbers * self.value_bits // 8
        return [of_channels, of_channels, of_tokens, of_lows, n_numbers // 2, of_values]


def _addresses(rows: Sequence[Tensor]) -> Addresses:
    """Return the address of the first token for each head of all layers, whose rows are (G, n, D).

    They may be written to as long as the rows are not freed.
    """
    found = list[int]()
    for each in rows:
        assert each.dtype == torch.float32
        assert each.stride()[1:] == (each.shape[2], 1)
        apart = 4 * each.stride(0)
        found += range(each.data_ptr(), each.data_ptr() + each.shape[0] * apart, apart)
    return np.array(found, np.int64)


def _unrotated(keys: Tensor, rotation: CosSin) -> Tensor:
    """Return keys rotated back to position 0, where a channel varies least."""
    cos, sin = rotation
    first, second = keys.chunk(2, dim=-1)
    turned = torch.cat((second, -first), dim=-1)
    return (keys * cos + turned * sin) / (cos * cos + sin * sin)


def _rounded_keys(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the zero of each channel in steps, its step, and two codes of keys in each byte."""
    low, high = keys.aminmax(dim=-2, keepdim=True)
    least = torch.maximum(low.abs() / MAX_ZERO, torch.tensor(SMALLEST_STEP))
    step = _up_to_half(torch.maximum((high - low) / KEY_STEPS, least))
    zero = (low / step.float()).round()
    codes = (keys / step.float() - zero).round_().clamp_(0, KEY_STEPS)
    return zero.to(torch.int16), step, _in_halves(codes)


def _rounded_values(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the step of each token and head, its lowest value, and two codes in each byte."""
    low, high = values.aminmax(dim=-1, keepdim=True)
    low = low.half()
    step = _up_to_half(((high - low.float()) / VALUE_STEPS).clamp_min(SMALLEST_STEP))
    codes = ((values - low.float()) / step.float()).round_().clamp_(0, VALUE_STEPS)
    return step, low, _in_halves(codes)


def _mixed_values(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the scale of each token and head, nothing, and four codes in each byte."""
    mixed = (hadamard(MIXED) @ values.unflatten(-1, (MIXED, -1))).flatten(-2)
    scale = mixed.square().mean(-1, keepdim=True).sqrt().clamp(SMALLEST_STEP, LARGEST_SCALE).half()
    codes = torch.bucketize(mixed / scale.float(), torch.tensor((-BETWEEN, 0.0, BETWEEN)))
    one, two, three, four = codes.to(torch.uint8).chunk(4, dim=-1)
    return scale, scale[:0], one | two << 2 | three << 4 | four << 6


def hadamard(size: int) -> Tensor:
    """Return an orthogonal matrix of equal numbers but for their signs; ``size`` is 2ⁿ."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return matrix / size**0.5


def _in_halves(codes: Tensor) -> Tensor:
    """Return codes of 4 bits, two in each byte; the low bits are of the first half of channels."""
    first, second = codes.to(torch.uint8).chunk(2, dim=-1)
    return first | second << 4


def _up_to_half(steps: Tensor) -> Tensor:
    """Return steps as halves that are at least as large, so that all codes are in range."""
    return (steps * (1 + 2**-10)).half()
