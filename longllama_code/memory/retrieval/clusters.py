"""Which rows of memory are in which cluster, for every memory head: inverted lists.

Rows that came lately are in lists of their own until they are worth a merge, as sorting a million
takes longer than a keystroke. Which rows a cluster has does not depend on it.

As long as there is room for them, lists hold the codes of the rows' keys as well: a cluster's lie
together there, and are read faster than from records that lie anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MERGE_SHARE = 8
"""Rows that came lately are merged once they are more than one in so many."""
KEPT_BYTES = 64 << 20
"""Of the codes of keys, all heads together: 262,144 tokens of ``mini``."""

_NONE = torch.empty(0, 0, dtype=torch.int8)


@dataclass(frozen=True)
class ListPart:
    """Rows in the order of their clusters."""

    rows: Tensor
    """int32 (n,)."""
    starts: Tensor
    """int64 (C,)."""
    counts: Tensor
    """int64 (C,)."""
    keys: Tensor
    """int8 (n, D), the codes of the rows' keys; (0, D), where they are not kept."""


class ClusterLists:
    """Rows by cluster, of ``n_heads`` heads with ``n_clusters`` each.

    Args:
        n_heads: memory heads.
        n_clusters: of each.
        key_bytes: of a key's codes, D; 0, where they are not to be kept.
    """

    def __init__(self, n_heads: int, n_clusters: int, key_bytes: int = 0) -> None:
        self._room = KEPT_BYTES // (n_heads * key_bytes) if key_bytes else 0
        key_bytes = key_bytes if self.keeps_keys else 0
        self._lists = [_HeadLists(n_clusters, key_bytes) for _ in range(n_heads)]
        self._new: list[tuple[int, Tensor, Tensor | None]] = []
        self._gone: list[tuple[int, int]] = []

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(head.nbytes for head in self._lists)

    @property
    def keeps_keys(self) -> bool:
        """Whether there is room for the codes of keys; once there is none, they are let go."""
        return self._room > 0

    def add(self, start: int, clusters: Tensor, keys: Tensor | None = None) -> None:
        """Rows from ``start`` on are in these clusters, int (heads, n).

        Args:
            start: the first row.
            clusters: of each row and head.
            keys: int8 (heads, n, D), their codes, as long as they are kept.
        """
        self._new.append((start, clusters, keys))
        kept_keys = self.keeps_keys
        self._room -= clusters.shape[1]
        if kept_keys and not self.keeps_keys:
            self._let_go()

    def remove(self, start: int, end: int) -> None:
        """Rows from ``start`` to ``end`` are gone; their numbers do not come again."""
        self._gone.append((start, end))

    def sort(self) -> None:
        """Bring the lists up to date."""
        if self._new:
            spans = (
                torch.arange(start, start + part.shape[1], dtype=torch.int32)
                for start, part, _ in self._new
            )
            rows = torch.cat([*spans])
            clusters = torch.cat([part for _, part, _ in self._new], dim=1)
            keys = [part for _, _, part in self._new if part is not None]
            for head, lists in enumerate(self._lists):
                lists.add(rows, clusters[head], torch.cat([part[head] for part in keys] or [_NONE]))
        if self._gone:
            for lists in self._lists:
                lists.remove(self._gone)
        self._new.clear()
        self._gone.clear()

    def _let_go(self) -> None:
        """Keep no keys from now on."""
        self._new = [(start, clusters, None) for start, clusters, _ in self._new]
        for lists in self._lists:
            lists.let_go()

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

    def __init__(self, n_clusters: int, key_bytes: int) -> None:
        self._parts = [_Sorted(n_clusters, key_bytes), _Sorted(n_clusters, key_bytes)]

    @property
    def nbytes(self) -> int:
        return sum(part.rows.nbytes + part.keys.nbytes for part in self._parts)

    @property
    def counts(self) -> Tensor:
        merged, late = self._parts
        return merged.counts + late.counts if len(late.rows) else merged.counts

    def add(self, rows: Tensor, clusters: Tensor, keys: Tensor) -> None:
        merged, late = self._parts
        late.add(rows, clusters, keys)
        if MERGE_SHARE * len(late.rows) > len(merged.rows):
            merged.add(late.rows, late.clusters(), late.keys)
            self._parts[1] = _Sorted(len(merged.counts), merged.keys.shape[1])

    def let_go(self) -> None:
        for part in self._parts:
            part.keys = _NONE

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

    def __init__(self, n_clusters: int, key_bytes: int) -> None:
        self.rows = torch.empty(0, dtype=torch.int32)
        self.keys = torch.empty(0, key_bytes, dtype=torch.int8)
        self.counts = torch.zeros(n_clusters, dtype=torch.int64)
        self._starts = self.counts

    def clusters(self) -> Tensor:
        """The cluster of each row, int32 (n,)."""
        numbers = torch.arange(len(self.counts), dtype=torch.int32)
        return numbers.repeat_interleave(self.counts)

    def add(self, rows: Tensor, clusters: Tensor, keys: Tensor) -> None:
        joined = torch.cat((self.clusters(), clusters.int()))
        # numpy sorts 16-bit numbers by radix: a million in 40 ms.
        order = torch.from_numpy(np.argsort(joined.numpy().astype(np.uint16), kind="stable"))
        self.rows = torch.cat((self.rows, rows))[order]
        if keys.shape[1]:
            self.keys = torch.cat((self.keys, keys))[order]
        self._count(joined)

    def remove(self, spans: list[tuple[int, int]]) -> None:
        if not len(self.rows):
            return
        alive = torch.ones(int(self.rows.max()) + 1, dtype=torch.bool)
        for start, end in spans:
            alive[start:end] = False
        stays = alive[self.rows]
        if not bool(stays.all()):
            clusters = self.clusters()[stays]
            self.rows = self.rows[stays]
            if self.keys.shape[1]:
                self.keys = self.keys[stays]
            self._count(clusters)

    def of(self, clusters: Tensor) -> tuple[Tensor, Tensor]:
        counts = self.counts[clusters]
        ends = counts.cumsum(0)
        places = torch.arange(len(clusters)).repeat_interleave(counts)
        n_rows = int(ends[-1]) if len(ends) else 0
        within = (self._starts[clusters] - ends + counts)[places] + torch.arange(n_rows)
        return self.rows[within], places

    def part(self) -> ListPart:
        return ListPart(self.rows, self._starts, self.counts, self.keys)

    def _count(self, clusters: Tensor) -> None:
        self.counts = torch.bincount(clusters, minlength=len(self.counts))
        self._starts = self.counts.cumsum(0) - self.counts
