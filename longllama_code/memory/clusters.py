"""Which rows of memory are in which cluster, for every memory head: inverted lists.

Rows that came lately are in lists of their own until they are worth a merge, as sorting a million
takes longer than a keystroke. Which rows a cluster has does not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MERGE_SHARE = 8
"""Rows that came lately are merged once they are more than one in so many."""


@dataclass(frozen=True)
class ListPart:
    """Rows in the order of their clusters."""

    rows: Tensor
    """int32 (n,)."""
    starts: Tensor
    """int64 (C,)."""
    counts: Tensor
    """int64 (C,)."""


class ClusterLists:
    """Rows by cluster, of ``n_heads`` heads with ``n_clusters`` each."""

    def __init__(self, n_heads: int, n_clusters: int) -> None:
        self._n_clusters = n_clusters
        self._lists = [_HeadLists(n_clusters) for _ in range(n_heads)]
        self._new: list[tuple[int, Tensor]] = []
        self._gone: list[tuple[int, int]] = []

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(head.nbytes for head in self._lists)

    def add(self, start: int, clusters: Tensor) -> None:
        """Rows from ``start`` on are in these clusters, int (heads, n)."""
        self._new.append((start, clusters))

    def remove(self, start: int, end: int) -> None:
        """Rows from ``start`` to ``end`` are gone; their numbers do not come again."""
        self._gone.append((start, end))

    def sort(self) -> None:
        """Bring the lists up to date."""
        if self._new:
            starts, clusters = zip(*self._new, strict=True)
            spans = (
                torch.arange(start, start + part.shape[1], dtype=torch.int32)
                for start, part in zip(starts, clusters, strict=True)
            )
            rows, by_head = torch.cat([*spans]), torch.cat(clusters, dim=1)
            for lists, mine in zip(self._lists, by_head, strict=True):
                lists.add(rows, mine)
        if self._gone:
            for lists in self._lists:
                lists.remove(self._gone)
        self._new.clear()
        self._gone.clear()

    def counts(self, head: int) -> Tensor:
        """Rows of each cluster: int64 (C,)."""
        return self._lists[head].counts

    def parts(self, head: int) -> tuple[ListPart, ListPart]:
        """All rows: the merged ones, and those that came lately."""
        return self._lists[head].parts()

    def rows(self, head: int, clusters: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of some clusters, int32 (n,), and which of the clusters each is in, int64."""
        return self._lists[head].rows(clusters)


class _HeadLists:
    """The lists of one head: the merged ones, and the late ones."""

    def __init__(self, n_clusters: int) -> None:
        self._parts = [_Sorted(n_clusters), _Sorted(n_clusters)]

    @property
    def nbytes(self) -> int:
        return sum(part.rows.nbytes for part in self._parts)

    @property
    def counts(self) -> Tensor:
        merged, late = self._parts
        return merged.counts + late.counts if len(late.rows) else merged.counts

    def add(self, rows: Tensor, clusters: Tensor) -> None:
        merged, late = self._parts
        late.add(rows, clusters)
        if MERGE_SHARE * len(late.rows) > len(merged.rows):
            merged.add(late.rows, late.clusters())
            self._parts[1] = _Sorted(len(merged.counts))

    def remove(self, spans: list[tuple[int, int]]) -> None:
        for part in self._parts:
            part.remove(spans)

    def parts(self) -> tuple[ListPart, ListPart]:
        merged, late = self._parts
        return merged.part(), late.part()

    def rows(self, clusters: Tensor) -> tuple[Tensor, Tensor]:
        merged, late = self._parts
        if not len(late.rows):
            return merged.of(clusters)
        found = merged.of(clusters), late.of(clusters)
        rows, places = (torch.cat(part) for part in zip(*found, strict=True))
        return rows, places


class _Sorted:
    """Rows in the order of their clusters."""

    def __init__(self, n_clusters: int) -> None:
        self.rows = torch.empty(0, dtype=torch.int32)
        self.counts = torch.zeros(n_clusters, dtype=torch.int64)
        self._starts = self.counts

    def clusters(self) -> Tensor:
        """The cluster of each row, int32 (n,)."""
        numbers = torch.arange(len(self.counts), dtype=torch.int32)
        return numbers.repeat_interleave(self.counts)

    def add(self, rows: Tensor, clusters: Tensor) -> None:
        keys = torch.cat((self.clusters(), clusters.int()))
        # numpy sorts 16-bit numbers by radix: a million in 40 ms.
        order = np.argsort(keys.numpy().astype(np.uint16), kind="stable")
        self.rows = torch.cat((self.rows, rows))[torch.from_numpy(order)]
        self._count(keys)

    def remove(self, spans: list[tuple[int, int]]) -> None:
        if not len(self.rows):
            return
        alive = torch.ones(int(self.rows.max()) + 1, dtype=torch.bool)
        for start, end in spans:
            alive[start:end] = False
        stays = alive[self.rows]
        if not bool(stays.all()):
            keys = self.clusters()[stays]
            self.rows = self.rows[stays]
            self._count(keys)

    def of(self, clusters: Tensor) -> tuple[Tensor, Tensor]:
        counts = self.counts[clusters]
        ends = counts.cumsum(0)
        places = torch.arange(len(clusters)).repeat_interleave(counts)
        n_rows = int(ends[-1]) if len(ends) else 0
        within = (self._starts[clusters] - ends + counts)[places] + torch.arange(n_rows)
        return self.rows[within], places

    def part(self) -> ListPart:
        return ListPart(self.rows, self._starts, self.counts)

    def _count(self, keys: Tensor) -> None:
        self.counts = torch.bincount(keys, minlength=len(self.counts))
        self._starts = self.counts.cumsum(0) - self.counts
