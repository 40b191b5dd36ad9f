"""Scores of grouped queries and keys, and the values that weights mix."""

import torch
from torch import Tensor


def scores_of(queries: Tensor, keys: Tensor, visible: Tensor | None) -> Tensor:
    """(B, G, R, S, D) · (B, G, K, D) → (B, G, R, S, K), scaled.

    What is not visible scores lowest, not -inf: a row of padding, which sees nothing, stays finite.
    """
    flat = queries.flatten(2, 3) * queries.shape[-1] ** -0.5
    scores = flat @ keys.to(queries.dtype).transpose(-1, -2)
    scores = scores.unflatten(2, queries.shape[2:4])
    return (
        scores
        if visible is None
        else scores.masked_fill(~visible[:, :, None], torch.finfo(scores.dtype).min)
    )


def mix(weights: Tensor, values: Tensor) -> Tensor:
    """(B, G, R, S, K) · (B, G, K, D) → (B, G, R, S, D)."""
    mixed = weights.flatten(2, 3) @ values.to(weights.dtype)
    return mixed.unflatten(2, weights.shape[2:4])


def mix_picked(weights: Tensor, values: Tensor) -> Tensor:
    """(B, G, R, S, k) · (B, G, R, S, k, D) → (B, G, R, S, D)."""
    return (weights[..., None, :] @ values.to(weights.dtype)).squeeze(-2)
