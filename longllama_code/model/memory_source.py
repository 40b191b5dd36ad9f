"""What a memory layer may attend to beyond its local context.

One seam: the attention asks a ``MemorySource`` what it offers to one layer. The memory of a long
input, the memory of a repository and the other rows of a training batch are all such sources.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from longllama_code.config import LongLlamaConfig
from longllama_code.model.buffer import GrowingTensor
from longllama_code.model.scoring import mix, mix_picked, scores_of
from longllama_code.model.selection import best_scores, pick

OwnKeys = Callable[[], tuple[Tensor, Tensor]]
"""Keys as first and values of the very input that attends, each (B, G, S, D), with gradients."""

Note = Callable[[int, Tensor, Tensor | None], None]
"""Takes the index of the first query, weights (B, G, R, S, k), and the tokens' indices likewise.

Without indices, the weights are those of all M tokens.
"""


class MemoryOffer(Protocol):
    """What the memory heads of one layer may attend to, ``M`` tokens, in the order of the heads."""

    @property
    def note(self) -> Note | None:
        """Is told what each query attended to; absent, nobody wants to know."""
        ...

    def __len__(self) -> int:
        """M."""
        ...

    def part(self, heads: slice, queries: slice) -> "MemoryOffer":
        """What some of the heads offer to some of the queries."""
        ...

    def score(self, asking: Tensor, top_k: int | None) -> tuple[Tensor, Tensor | None]:
        """Scores of memory for the queries (B, G, R, S, D), scaled.

        Returns:
            (B, G, R, S, M) and None, or those of the best ``top_k`` tokens and the tokens' indices,
            each (B, G, R, S, k); what may not be seen scores lowest.
        """
        ...

    def mix(self, weights: Tensor, indices: Tensor | None) -> Tensor:
        """Values mixed by the weights of what ``score`` returned: (B, G, R, S, D)."""
        ...


@dataclass(frozen=True)
class DenseOffer:
    """Tensors, all of which are scored."""

    keys: Tensor
    """(B or 1, memory heads, M, D), rotated as if first."""
    values: Tensor
    """(B or 1, memory heads, M, D)."""
    visible: Tensor | None = None
    """Which tokens may be seen, bool, broadcastable to (B, 1, S, M); absent, all."""
    note: Note | None = None

    def __len__(self) -> int:
        return self.keys.shape[-2]

    def part(self, heads: slice, queries: slice) -> "DenseOffer":
        """What some of the heads offer to some of the queries."""
        visible = self.visible
        if visible is not None and visible.shape[-2] > 1:
            visible = visible[:, :, queries]
        note = None if self.note is None else shifted(self.note, queries.start)
        return DenseOffer(self.keys[:, heads], self.values[:, heads], visible, note)

    def score(self, asking: Tensor, top_k: int | None) -> tuple[Tensor, Tensor | None]:
        """Scores of all tokens, or of the best and their indices."""
        if top_k is None or top_k >= len(self):
            return scores_of(asking, self.keys, self.visible), None
        with torch.no_grad():
            best, indices = best_scores(scores_of(asking, self.keys, self.visible), top_k)
        if not torch.is_grad_enabled():
            return best, indices
        # Once more with gradients, which then reach the k best keys alone instead of all of them.
        picked = pick(self.keys, indices).to(asking.dtype)
        scores = (picked @ asking[..., None]).squeeze(-1) * asking.shape[-1] ** -0.5
        lowest = torch.finfo(best.dtype).min
        return scores.masked_fill(best == lowest, lowest), indices

    def mix(self, weights: Tensor, indices: Tensor | None) -> Tensor:
        """The tokens' values, mixed."""
        if indices is None:
            return mix(weights, self.values)
        return mix_picked(weights, pick(self.values, indices))


def shifted(note: Note, start: int) -> Note:
    """Tells of queries by their index in the whole input."""
    return lambda first, weights, indices: note(start + first, weights, indices)


class MemorySource(Protocol):
    """Whatever offers memory to the memory layers during a forward pass."""

    def offer(self, layer_idx: int, own: OwnKeys) -> MemoryOffer | None:
        """What layer ``layer_idx`` may attend to; None where there is nothing.

        ``own`` is for sources that let the rows of a batch see each other; others do not call it.
        """
        ...


class InContextMemory:
    """The memory of one long input: what left its local context, kept in ``mem_dtype``.

    Keys of every layer share one visibility mask, as padding is a matter of tokens, not layers.
    """

    def __init__(self, config: LongLlamaConfig) -> None:
        self._config = config
        self._dtype: torch.dtype = getattr(torch, config.mem_dtype)
        self._keys: dict[int, GrowingTensor] = {}
        self._values: dict[int, GrowingTensor] = {}
        self._visible = GrowingTensor(dim=-1)

    def __len__(self) -> int:
        return len(self._visible)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values held, spare capacity included."""
        return sum(buffer.nbytes for buffer in (*self._keys.values(), *self._values.values()))

    def absorb(self, layer_idx: int, keys: Tensor, values: Tensor) -> None:
        """Append one layer's keys as first and values, each (B, G, n, D)."""
        heads = self._config.memory_heads(layer_idx)
        self._buffer(self._keys, layer_idx).append(keys[:, heads].to(self._dtype))
        self._buffer(self._values, layer_idx).append(values[:, heads].to(self._dtype))

    def absorb_visibility(self, visible: Tensor) -> None:
        """Append which of the n tokens just absorbed are no padding, bool (B, n)."""
        self._visible.append(visible)

    def offer(self, layer_idx: int, own: OwnKeys | None = None) -> MemoryOffer | None:
        """All that this layer has absorbed."""
        if layer_idx not in self._keys or not len(self):
            return None
        n_tokens = len(self)
        visible = self._visible.view()[:, None, None, :]
        return DenseOffer(
            keys=self._keys[layer_idx].view()[:, :, :n_tokens],
            values=self._values[layer_idx].view()[:, :, :n_tokens],
            visible=None if bool(visible.all()) else visible,
        )

    def select(self, rows: Tensor) -> None:
        """Keep the batch rows ``rows`` (int64), in that order: beams move."""
        for buffer in (*self._keys.values(), *self._values.values(), self._visible):
            buffer.select(rows)

    def keys_and_values(self, layer_idx: int) -> tuple[Tensor, Tensor]:
        """The stored keys and values of one layer, each (B, memory heads, M, D)."""
        return self._keys[layer_idx].view(), self._values[layer_idx].view()

    @staticmethod
    def _buffer(buffers: dict[int, GrowingTensor], layer_idx: int) -> GrowingTensor:
        return buffers.setdefault(layer_idx, GrowingTensor(dim=-2))
