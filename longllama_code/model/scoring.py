"""Scores of grouped queries and keys, and the values that weights mix.

Memory is kept in a smaller type than it is computed in. On a CPU it is spread out block by block,
always into the same buffer: what is as large as memory would come as new pages for every token.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_NUMBERS = 1 << 18
"""Numbers spread out at once: 1 MB in float32, which a core's cache holds."""


def scores_of(queries: Tensor, keys: Tensor, visible: Tensor | None) -> Tensor:
    """(B, G, R, S, D) · (B, G, K, D) → (B, G, R, S, K), scaled.

    What is not visible scores lowest, not -inf: a row of padding, which sees nothing, stays finite.
    """
    flat = queries.flatten(2, 3) * queries.shape[-1] ** -0.5
    if _is_spread(keys, flat):
        scores = flat.new_empty(*flat.shape[:-1], keys.shape[-2])
        for rows, part in _blocks(keys, flat.dtype):
            scores[..., rows] = flat @ part.transpose(-1, -2)
    else:
        scores = flat @ keys.to(queries.dtype).transpose(-1, -2)
    scores = scores.unflatten(2, queries.shape[2:4])
    return (
        scores
        if visible is None
        else scores.masked_fill(~visible[:, :, None], torch.finfo(scores.dtype).min)
    )


def mix(weights: Tensor, values: Tensor) -> Tensor:
    """(B, G, R, S, K) · (B, G, K, D) → (B, G, R, S, D)."""
    flat = weights.flatten(2, 3)
    if _is_spread(values, flat):
        mixed = flat.new_zeros(*flat.shape[:-1], values.shape[-1])
        for rows, part in _blocks(values, flat.dtype):
            mixed += flat[..., rows] @ part
    else:
        mixed = flat @ values.to(weights.dtype)
    return mixed.unflatten(2, weights.shape[2:4])


def mix_picked(weights: Tensor, values: Tensor) -> Tensor:
    """(B, G, R, S, k) · (B, G, R, S, k, D) → (B, G, R, S, D)."""
    return (weights[..., None, :] @ values.to(weights.dtype)).squeeze(-2)


def _is_spread(memory: Tensor, other: Tensor) -> bool:
    """Whether memory goes block by block into the type of what it meets."""
    return (
        memory.dtype != other.dtype
        and memory.device.type == "cpu"
        and memory.numel() > BLOCK_NUMBERS
        and not torch.is_grad_enabled()
    )


def _blocks(memory: Tensor, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Rows of (B, G, K, D) in another type; each block is valid until the next one is asked for."""
    step = max(1, BLOCK_NUMBERS * memory.shape[-2] // memory.numel())
    spread = memory.new_empty(*memory.shape[:2], step, memory.shape[-1], dtype=dtype)
    for start in range(0, memory.shape[-2], step):
        rows = slice(start, min(start + step, memory.shape[-2]))
        yield rows, spread[:, :, : rows.stop - start].copy_(memory[:, :, rows])
