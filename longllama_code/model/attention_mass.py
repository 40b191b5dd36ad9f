"""Attention that falls on segments of the local context, such as definitions before a prompt.

A segment's mass is the sum of its tokens' weights in a query's softmax over the local context. It
is summed over all heads and layers, for queries whose predictions were accepted alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from longllama_code.model.scoring import scores_of


class AttentionMass:
    """Mass of adjacent segments, gathered pass by pass.

    Args:
        bounds: first token of each segment in the local context, ascending, then the end of the
            last one.
        n_layers: number of the model's layers.
        n_heads: number of query heads of a layer.
        device: the model's device.
    """

    def __init__(
        self, bounds: Sequence[int], n_layers: int, n_heads: int, device: torch.device | str = "cpu"
    ) -> None:
        self.bounds = torch.tensor(bounds, dtype=torch.int64)
        self._n_segments, self._n_heads, self._n_layers = len(bounds) - 1, n_heads, n_layers
        tokens = torch.arange(bounds[0], bounds[-1])[:, None]
        inside = (self.bounds[:-1] <= tokens) & (tokens < self.bounds[1:])
        self._first, self._inside = bounds[0], inside.float().to(device)
        self._total = torch.zeros(self._n_segments, device=device)
        self._n_counted = 0
        self.of_pass = self._total.new_zeros(0, n_heads, self._n_segments)
        """Masses of the pass so far, summed over layers (S, H, segments); kernels add to it."""

    def begin_pass(self, n_queries: int) -> None:
        """Begin a forward pass: drop what was not counted of the last one."""
        self.of_pass = self._total.new_zeros(n_queries, self._n_heads, self._n_segments)

    def add_layer(self, queries: Tensor, keys: Tensor, visible: Tensor) -> None:
        """Add a layer's masses, from one sequence.

        Args:
            queries: (1, G, R, S, D).
            keys: (1, G, L, D).
            visible: local keys that each query may see, bool (1, 1, S, L).
        """
        weights = scores_of(queries, keys, visible).softmax(-1, dtype=torch.float32)
        of_segments = weights[..., self._first : self._first + len(self._inside)]
        masses = of_segments @ self._inside[: of_segments.shape[-1]]
        self.of_pass += masses[0].flatten(0, 1).transpose(0, 1)

    def count(self, query: int) -> None:
        """Add the masses of one query of the pass to the totals."""
        self._total += self.of_pass[query].sum(0)
        self._n_counted += 1

    @property
    def shares(self) -> list[float]:
        """Share of each segment in the attention of all counted queries, 0 to 1."""
        n_weights = max(1, self._n_counted) * self._n_layers * self._n_heads
        return (self._total / n_weights).tolist()
