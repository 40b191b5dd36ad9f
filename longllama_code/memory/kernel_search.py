"""The search on a CPU, by kernels: each token by itself, in one call."""

from __future__ import annotations

import torch
from torch import Tensor

from longllama_code.kernels.search import Lists, Records, best_keys, mix_values
from longllama_code.memory.clusters import ListPart
from longllama_code.memory.rows import MemoryRows
from longllama_code.memory.search import RowSearch, scaled


class KernelSearch(RowSearch):
    """As ``RowSearch``, of rows that are in clusters."""

    def best(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Scores and rows of the best ``k`` keys for queries (R, S, D), each (R, S, k)."""
        assert self._lists is not None
        shape = *queries.shape[:2], k
        scores, found = torch.empty(shape), torch.empty(shape, dtype=torch.int64)
        merged, late = (_arrays(part) for part in self._lists.parts(self._head))
        best_keys(
            scaled(queries).contiguous().numpy(),
            self._form.spaces[self._head],
            merged,
            late,
            self._arrays(),
            self._read_keys,
            scores.numpy(),
            found.numpy(),
        )
        return scores, found

    def mix(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Values of rows, mixed by their weights, each (R, S, k): (R, S, D)."""
        mixed = torch.empty(*rows.shape[:2], self._form.head_dim)
        float_weights = weights.float().contiguous().numpy()
        mix_values(float_weights, rows.contiguous().numpy(), self._arrays(), mixed.numpy())
        return mixed.to(weights.dtype)

    def _arrays(self) -> Records:
        return self._form.arrays(
            self._records.rows, self._rows.positions(), self._visible, self._head
        )


def search_of(
    rows: MemoryRows, head: int, visible: Tensor | None, read_keys: int | None
) -> RowSearch:
    """The search for one head that is fastest where the rows are; arguments as ``RowSearch``."""
    by_kernels = rows.form.table is not None and rows.device.type == "cpu"
    return (KernelSearch if by_kernels else RowSearch)(rows, head, visible, read_keys)


def _arrays(part: ListPart) -> Lists:
    return Lists(part.rows.numpy(), part.starts.numpy(), part.counts.numpy())
