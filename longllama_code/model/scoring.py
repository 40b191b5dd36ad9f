"""Scores of grouped queries and keys, and weighted sums of values.

Memory is stored in a smaller dtype than it is computed in. On a CPU it is converted block by block,
always into the same buffer: a conversion of all of memory would allocate new pages for every token.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_NUMBERS = 1 << 18
"""Numbers converted at once: 1 MB in float32, which fits in a core's cache."""


def scores_of(queries: Tensor, keys: Tensor, visible: Tensor | None) -> Tensor:
    """Return scaled scores: (B, G, R, S, D) · (B, G, K, D) → (B, G, R, S, K).

    Keys that are not visible get the lowest finite score instead of -inf, so that the softmax of a
    padding row, which sees no key, stays finite.
    """
    flat = queries.flatten(2, 3) * queries.shape[-1] ** -0.5
    if _is_converted(keys, flat):
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
    """Return weighted sums of values: (B, G, R, S, K) · (B, G, K, D) → (B, G, R, S, D)."""
    flat = weights.flatten(2, 3)
    if _is_converted(values, flat):
        mixed = flat.new_zeros(*flat.shape[:-1], values.shape[-1])
        for rows, part in _blocks(values, flat.dtype):
            mixed += flat[..., rows] @ part
    else:
        mixed = flat @ values.to(weights.dtype)
    return mixed.unflatten(2, weights.shape[2:4])


def mix_picked(weights: Tensor, values: Tensor) -> Tensor:
    """Return weighted sums: (B, G, R, S, k) · (B, G, R, S, k, D) → (B, G, R, S, D)."""
    return (weights[..., None, :] @ values.to(weights.dtype)).squeeze(-2)


def _is_converted(memory: Tensor, other: Tensor) -> bool:
    """Whether memory is converted block by block to the dtype of the other factor."""
    return (
        memory.dtype != other.dtype
        and memory.device.type == "cpu"
        and memory.numel() > BLOCK_NUMBERS
        and not torch.is_grad_enabled()
    )


def _blocks(memory: Tensor, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of (B, G, K, D) in another dtype; each block is valid until the next one."""
    step = max(1, BLOCK_NUMBERS * memory.shape[-2] // memory.numel())
    buffer = memory.new_empty(*memory.shape[:2], step, memory.shape[-1], dtype=dtype)
    for start in range(0, memory.shape[-2], step):
        rows = slice(start, min(start + step, memory.shape[-2]))
        yield rows, buffer[:, :, : rows.stop - start].copy_(memory[:, :, rows])
