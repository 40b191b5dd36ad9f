"""Memory view over the rows of repository memory, which are searched instead of all scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from longllama_code.kernels.sharing.threads import ALONE, Threads
from longllama_code.memory.retrieval.kernel_search import search_of
from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.retrieval.search import RowSearch
from longllama_code.model.memory_source import AttentionObserver, with_query_offset


@dataclass(frozen=True)
class RowView:
    """Rows of memory as the memory heads of one layer see them, for one sequence (B = 1)."""

    rows: MemoryRows
    heads: range
    """Memory heads, by their index in the records."""
    visible: Tensor | None = None
    """Visible rows, bool (M,); None if all are."""
    observe: AttentionObserver | None = None
    read_keys: int | None = None
    """Number of keys of each head that are read for a query; None for all."""
    threads: Threads = ALONE
    """Threads that share the search of a pass over many tokens."""

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, heads: slice, queries: slice) -> RowView:
        """Return the view that some of the queries have through some of the heads."""
        observe = self.observe and with_query_offset(self.observe, queries.start)
        return replace(self, heads=self.heads[heads], observe=observe)

    def score(self, memory_queries: Tensor, top_k: int | None) -> tuple[Tensor, Tensor | None]:
        """Return scores of all rows, or of the best rows that are read and their indices."""
        pairs = self._by_head(memory_queries)
        if top_k is None:
            return torch.stack([head.scores(queries) for head, queries in pairs])[None], None
        found = [head.best(queries, top_k) for head, queries in pairs]
        scores, rows = (torch.stack(part)[None] for part in zip(*found, strict=True))
        return scores, rows

    def mix(self, weights: Tensor, indices: Tensor | None) -> Tensor:
        """Return the weighted sum of the rows' values, (1, G, R, S, D)."""
        if indices is None:
            everything = torch.arange(len(self.rows), device=weights.device)
            return torch.stack(
                [w @ head.values(everything).to(w.dtype) for head, w in self._by_head(weights)]
            )[None]
        pairs = zip(self._by_head(weights), indices[0], strict=True)
        return torch.stack([head.mix(shares, rows) for (head, shares), rows in pairs])[None]

    def _by_head(self, tensor: Tensor) -> list[tuple[RowSearch, Tensor]]:
        """Return each head's search with its part of (1, G, …)."""
        return list(zip(self._searches, tensor[0], strict=True))

    @cached_property
    def _searches(self) -> list[RowSearch]:
        """Search of each head; a view lives no longer than the rows stay the same."""
        options = self.visible, self.read_keys, self.threads
        return [search_of(self.rows, head, *options) for head in self.heads]
