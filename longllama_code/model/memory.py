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

OwnKeys = Callable[[], tuple[Tensor, Tensor]]
"""Keys as first and values of the very input that attends, each (B, G, S, D), with gradients."""


Note = Callable[[int, Tensor, Tensor | None], None]
"""Takes the index of the first query, weights (B, G, R, S, k), and the tokens' indices likewise.

Without indices, the weights are those of all M tokens.
"""


@dataclass(frozen=True)
class MemoryOffer:
    """Keys and values for the memory heads of one layer, in the order of ``memory_heads``."""

    keys: Tensor
    """(B or 1, memory heads, M, D), rotated as if first."""
    values: Tensor
    """(B or 1, memory heads, M, D)."""
    visible: Tensor | None = None
    """Which tokens may be seen, bool, broadcastable to (B, 1, S, M); absent, all."""
    note: Note | None = None
    """Is told what each query attended to; absent, nobody wants to know."""


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
        return MemoryOffer(
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
