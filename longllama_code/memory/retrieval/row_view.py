"""What repository memory offers to the memory heads of a layer: rows to search, not tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from longllama_code.kernels.sharing.threads import ALONE, Threads
from longllama_code.memory.retrieval.kernel_search import search_of
from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.retrieval.search import RowSearch
from longllama_code.model.memory_source import Note, shifted


@dataclass(frozen=True)
class RowOffer:
    """Rows of memory, for one sequence (B = 1)."""

    rows: MemoryRows
    heads: range
    """Which memory heads, by their place in the records."""
    visible: Tensor | None = None
    """Bool (M,), the rows that may be seen; absent, all."""
    note: Note | None = None
    read_keys: int | None = None
    """Keys of each head that are read for a query; absent, all."""
    threads: Threads = ALONE
    """Who looks up a pass of many tokens."""

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, heads: slice, queries: slice) -> RowOffer:
        """What some of the heads offer; queries see the same."""
        note = None if self.note is None else shifted(self.note, queries.start)
        return replace(self, heads=self.heads[heads], note=note)

    def score(self, asking: Tensor, top_k: int | None) -> tuple[Tensor, Tensor | None]:
        """Scores of all rows, or of the best of those that are read, and their rows."""
        if top_k is None:
            return torch.stack([head.scores(q) for head, q in self._asked(asking)])[None], None
        found = [head.best(queries, top_k) for head, queries in self._asked(asking)]
        scores, rows = (torch.stack(part)[None] for part in zip(*found, strict=True))
        return scores, rows

    def mix(self, weights: Tensor, indices: Tensor | None) -> Tensor:
        """The rows' values, mixed."""
        if indices is None:
            everything = torch.arange(len(self.rows), device=weights.device)
            return torch.stack(
                [w @ head.values(everything).to(w.dtype) for head, w in self._asked(weights)]
            )[None]
        asked = zip(self._asked(weights), indices[0], strict=True)
        return torch.stack([head.mix(mine, rows) for (head, mine), rows in asked])[None]

    def _asked(self, of_heads: Tensor) -> list[tuple[RowSearch, Tensor]]:
        """Each head's search, with its part of (1, G, …)."""
        return list(zip(self._searches, of_heads[0], strict=True))

    @cached_property
    def _searches(self) -> list[RowSearch]:
        """Each head's, for as long as memory stays as it is."""
        given = self.visible, self.read_keys, self.threads
        return [search_of(self.rows, head, *given) for head in self.heads]
