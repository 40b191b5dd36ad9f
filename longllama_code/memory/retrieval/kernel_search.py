"""Search by compiled kernels on a CPU, in one call for all tokens."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from longllama_code.kernels.record_arrays import RecordArrays, mix_values
from longllama_code.kernels.search import Lists, best_keys
from longllama_code.kernels.sharing.threads import ALONE, Threads
from longllama_code.memory.retrieval.clusters import ListPart
from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.retrieval.search import RowSearch


class KernelSearch(RowSearch):
    """``RowSearch`` for rows in clusters on a CPU, with the tokens shared between threads."""

    def __init__(
        self,
        rows: MemoryRows,
        head: int,
        visible: Tensor | None,
        read_keys: int | None,
        threads: Threads = ALONE,
    ) -> None:
        super().__init__(rows, head, visible, read_keys)
        self._threads = threads

    def best(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return scores and rows of the best ``k`` keys for queries (R, S, D), each (R, S, k)."""
        (n_heads, n_tokens), numbers = queries.shape[:2], queries.float().numpy()
        scores = np.empty((n_heads, n_tokens, k), np.float32)
        rows = np.empty((n_heads, n_tokens, k), np.int64)
        space, parts, arrays = self._format.spaces[self._head], self._parts, self._arrays

        def look_up(first: int, end: int) -> None:
            of_tokens = np.ascontiguousarray(numbers[:, first:end])
            shape = n_heads, end - first, k
            best, found = np.empty(shape, np.float32), np.empty(shape, np.int64)
            best_keys(of_tokens, space, *parts, arrays, self._read_keys, best, found)
            scores[:, first:end], rows[:, first:end] = best, found

        self._threads.run(look_up, n_tokens)
        return torch.from_numpy(scores), torch.from_numpy(rows)

    def mix(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Return the sum of rows' values by their weights, each (R, S, k): (R, S, D)."""
        mixed = np.empty((*rows.shape[:2], self._format.head_dim), np.float32)
        float_weights = weights.float().contiguous().numpy()
        mix_values(float_weights, rows.contiguous().numpy(), self._arrays, mixed)
        return torch.from_numpy(mixed).to(weights.dtype)

    @cached_property
    def _parts(self) -> tuple[Lists, Lists]:
        assert self._lists is not None
        merged, new = self._lists.parts(self._head)
        return _arrays(merged), _arrays(new)

    @cached_property
    def _arrays(self) -> RecordArrays:
        return self._format.arrays(
            self._records.rows, self._rows.positions(), self._visible, self._head
        )


def search_of(
    rows: MemoryRows,
    head: int,
    visible: Tensor | None,
    read_keys: int | None,
    threads: Threads = ALONE,
) -> RowSearch:
    """Return the fastest search of one head on the rows' device; see ``RowSearch``."""
    if rows.record_format.table is not None and rows.device.type == "cpu":
        return KernelSearch(rows, head, visible, read_keys, threads)
    return RowSearch(rows, head, visible, read_keys)


def _arrays(part: ListPart) -> Lists:
    parts = part.rows, part.starts, part.counts, part.keys
    return Lists(*(each.numpy() for each in parts))
