"""What memory layers may attend to beyond the local context.

Attention asks a ``MemorySource`` for a ``MemoryView`` of each memory layer. Sources are the earlier
windows of a long input, the memory of a repository, and the other rows of a training batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from longllama_code.model.buffer import GrowingTensor
from longllama_code.model.scoring import mix, mix_picked, scores_of
from longllama_code.model.selection import best_scores, pick
from longllama_code.model_config import ModelConfig

InputKeys = Callable[[], tuple[Tensor, Tensor]]
"""Computes position-zero keys and values of a layer's input, each (B, G, S, D), with gradients."""

AttentionObserver = Callable[[int, Tensor, Tensor | None], None]
"""Receives the first query's index, weights (B, G, R, S, k), and the tokens' indices (same shape).

Indices are None if the weights cover all M tokens.
"""


class MemoryView(Protocol):
    """``M`` tokens that the memory heads of one layer may attend to, in the order of the heads."""

    @property
    def observe(self) -> AttentionObserver | None:
        """Callback that receives the attention weights of each query, if anyone needs them."""
        ...

    def __len__(self) -> int:
        """Return M."""
        ...

    def part(self, heads: slice, queries: slice) -> "MemoryView":
        """Return the view that some of the queries have through some of the heads."""
        ...

    def score(self, memory_queries: Tensor, top_k: int | None) -> tuple[Tensor, Tensor | None]:
        """Return scaled scores of memory for queries (B, G, R, S, D).

        Returns:
            (B, G, R, S, M) and None, or the scores and indices of the best ``top_k`` tokens, each
            (B, G, R, S, k). Tokens that are not visible have the lowest finite score.
        """
        ...

    def mix(self, weights: Tensor, indices: Tensor | None) -> Tensor:
        """Return the weighted sum of values, (B, G, R, S, D).

        Args:
            weights: softmax of the scores that ``score`` returned.
            indices: the indices that it returned.
        """
        ...


@dataclass(frozen=True)
class DenseView:
    """Memory view over plain tensors, all of which are scored."""

    keys: Tensor
    """(B or 1, memory heads, M, D), position-zero keys."""
    values: Tensor
    """(B or 1, memory heads, M, D)."""
    visible: Tensor | None = None
    """Visible tokens, bool, broadcastable to (B, 1, S, M); None if all are."""
    observe: AttentionObserver | None = None

    def __len__(self) -> int:
        return self.keys.shape[-2]

    def part(self, heads: slice, queries: slice) -> "DenseView":
        """Return the view that some of the queries have through some of the heads."""
        visible = self.visible
        if visible is not None and visible.shape[-2] > 1:
            visible = visible[:, :, queries]
        observe = self.observe and with_query_offset(self.observe, queries.start)
        return DenseView(self.keys[:, heads], self.values[:, heads], visible, observe)

    def score(self, memory_queries: Tensor, top_k: int | None) -> tuple[Tensor, Tensor | None]:
        """Return scores of all tokens, or of the best tokens and their indices."""
        if top_k is None or top_k >= len(self):
            return scores_of(memory_queries, self.keys, self.visible), None
        with torch.no_grad():
            best, indices = best_scores(scores_of(memory_queries, self.keys, self.visible), top_k)
        if not torch.is_grad_enabled():
            return best, indices
        # Scored again with gradients, which then reach only the k best keys.
        picked = pick(self.keys, indices).to(memory_queries.dtype)
        scores = (picked @ memory_queries[..., None]).squeeze(-1) * memory_queries.shape[-1] ** -0.5
        lowest = torch.finfo(best.dtype).min
        return scores.masked_fill(best == lowest, lowest), indices

    def mix(self, weights: Tensor, indices: Tensor | None) -> Tensor:
        """Return the weighted sum of values, (B, G, R, S, D)."""
        if indices is None:
            return mix(weights, self.values)
        return mix_picked(weights, pick(self.values, indices))


def with_query_offset(observe: AttentionObserver, start: int) -> AttentionObserver:
    """Return an observer for a part of the queries that reports indices in the whole input."""
    return lambda first, weights, indices: observe(start + first, weights, indices)


class MemorySource(Protocol):
    """Provider of memory for the memory layers during a forward pass."""

    def layer_view(self, layer_idx: int, input_keys: InputKeys) -> MemoryView | None:
        """Return what a layer may attend to, or None if memory is empty.

        Args:
            layer_idx: index of the layer.
            input_keys: computes the keys and values of the layer's input, for sources that let the
                rows of a batch see each other.
        """
        ...


class InContextMemory:
    """Memory of one long input: the tokens that left its local context, kept in ``mem_dtype``.

    All layers share one visibility mask, because padding concerns tokens and not layers.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._dtype: torch.dtype = getattr(torch, config.mem_dtype)
        self._keys: dict[int, GrowingTensor] = {}
        self._values: dict[int, GrowingTensor] = {}
        self._visible = GrowingTensor(dim=-1)

    def __len__(self) -> int:
        return len(self._visible)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values, including spare capacity."""
        return sum(buffer.nbytes for buffer in (*self._keys.values(), *self._values.values()))

    def absorb(self, layer_idx: int, position_zero_keys: Tensor, values: Tensor) -> None:
        """Append the position-zero keys and the values of one layer, each (B, G, n, D)."""
        heads = self._config.memory_heads(layer_idx)
        self._buffer(self._keys, layer_idx).append(position_zero_keys[:, heads].to(self._dtype))
        self._buffer(self._values, layer_idx).append(values[:, heads].to(self._dtype))

    def absorb_visibility(self, visible: Tensor) -> None:
        """Append the mask of the tokens just absorbed, bool (B, n), False for padding."""
        self._visible.append(visible)

    def layer_view(self, layer_idx: int, input_keys: InputKeys | None = None) -> MemoryView | None:
        """Return all tokens that a layer has absorbed, or None if there are none."""
        if layer_idx not in self._keys or not len(self):
            return None
        n_tokens = len(self)
        visible = self._visible.view()[:, None, None, :]
        return DenseView(
            keys=self._keys[layer_idx].view()[:, :, :n_tokens],
            values=self._values[layer_idx].view()[:, :, :n_tokens],
            visible=None if bool(visible.all()) else visible,
        )

    def select(self, rows: Tensor) -> None:
        """Keep the batch rows ``rows`` (int64), in that order, for beam search."""
        for buffer in (*self._keys.values(), *self._values.values(), self._visible):
            buffer.select(rows)

    def keys_and_values(self, layer_idx: int) -> tuple[Tensor, Tensor]:
        """Return the stored keys and values of one layer, each (B, memory heads, M, D)."""
        return self._keys[layer_idx].view(), self._values[layer_idx].view()

    @staticmethod
    def _buffer(buffers: dict[int, GrowingTensor], layer_idx: int) -> GrowingTensor:
        return buffers.setdefault(layer_idx, GrowingTensor(dim=-2))
