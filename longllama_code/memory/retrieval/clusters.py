"""Inverted lists: the rows of memory in each cluster, for every memory head.

New rows are kept in lists of their own until there are enough for a merge, because sorting a
million rows takes longer than a keystroke. The content of a cluster does not depend on it.

While there is room, lists contain copies of the rows' key codes: those of a cluster are adjacent
there, and faster to read than from records that are scattered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MERGE_SHARE = 8
"""New rows are merged once they are more than one in so many."""
KEPT_BYTES = 64 << 20
"""Most bytes of key codes, all heads together: 262,144 tokens of ``mini``."""

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
    """Key codes of the rows, int8 (n, D), or (0, D) if there are none."""


class ClusterLists:
    """Rows by cluster, for all memory heads.

    Args:
        n_heads: number of memory heads.
        n_clusters: number of clusters of each head.
        key_bytes: bytes of a key's codes, D; 0 for lists without codes.
    """

    def __init__(self, n_heads: int, n_clusters: int, key_bytes: int = 0) -> None:
        self._room = KEPT_BYTES // (n_heads * key_bytes) if key_bytes else 0
        key_bytes = key_bytes if self.keeps_keys else 0
        self._lists = [_HeadLists(n_clusters, key_bytes) for _ in range(n_heads)]
        self._new: list[tuple[int, Tensor, Tensor | None]] = []
        self._gone: list[tuple[int, int]] = []

    @property
    def nbytes(self) -> int:
        """Bytes of all lists."""
        return sum(head.nbytes for head in self._lists)

    @property
    def keeps_keys(self) -> bool:
        """Whether lists contain key codes; they are dropped once there is no more room."""
        return self._room > 0

    def add(self, start: int, clusters: Tensor, keys: Tensor | None = None) -> None:
        """Add n consecutive rows.

        Args:
            start: the first row.
            clusters: cluster of each row, int (heads, n).
            keys: key codes of the rows, int8 (heads, n, D), required while ``keeps_keys``.
        """
        self._new.append((start, clusters, keys))
        kept_keys = self.keeps_keys
        self._room -= clusters.shape[1]
        if kept_keys and not self.keeps_keys:
            self._drop_keys()

    def remove(self, start: int, end: int) -> None:
        """Remove the rows from ``start`` to ``end``, whose numbers are not used again."""
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

    def _drop_keys(self) -> None:
        self._new = [(start, clusters, None) for start, clusters, _ in self._new]
        for lists in self._lists:
            lists.drop_keys()

    def counts(self, head: int) -> Tensor:
        """Return the number of rows of each cluster, int64 (C,)."""
        return self._lists[head].counts

    def parts(self, head: int) -> tuple[ListPart, ListPart]:
        """Return all rows in two parts: merged ones, and new ones."""
        return self._lists[head].parts()

    def rows(self, head: int, clusters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of some clusters, int32 (n,), and indices of their clusters, int64."""
        return self._lists[head].rows(clusters)


class _HeadLists:
    """Lists of one head: merged ones, and new ones."""

    def __init__(self, n_clusters: int, key_bytes: int) -> None:
        self._parts = [_Sorted(n_clusters, key_bytes), _Sorted(n_clusters, key_bytes)]

    @property
    def nbytes(self) -> int:
        return sum(part.rows.nbytes + part.keys.nbytes for part in self._parts)

    @property
    def counts(self) -> Tensor:
        merged, new = self._parts
        return merged.counts + new.counts if len(new.rows) else merged.counts

    def add(self, rows: Tensor, clusters: Tensor, keys: Tensor) -> None:
        merged, new = self._parts
        new.add(rows, clusters, keys)
        if MERGE_SHARE * len(new.rows) > len(merged.rows):
            merged.add(new.rows, new.clusters(), new.keys)
            self._parts[1] = _Sorted(len(merged.counts), merged.keys.shape[1])

    def drop_keys(self) -> None:
        for part in self._parts:
            part.keys = _NONE

    def remove(self, spans: list[tuple[int, int]]) -> None:
        for part in self._parts:
            part.remove(spans)

    def parts(self) -> tuple[ListPart, ListPart]:
        merged, new = self._parts
        return merged.part(), new.part()

    def rows(self, clusters: Tensor) -> tuple[Tensor, Tensor]:
        merged, new = self._parts
        if not len(new.rows):
            return merged.of(clusters)
        found = merged.of(clusters), new.of(clusters)
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
        """Return the cluster of each row, int32 (n,)."""
        numbers = torch.arange(len(self.counts), dtype=torch.int32)
        return numbers.repeat_interleave(self.counts)

    def add(self, rows: Tensor, clusters: Tensor, keys: Tensor) -> None:
        joined = torch.cat((self.clusters(), clusters.int()))
        # numpy's stable sort of 16-bit numbers is a radix sort: a million in 40 ms.
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
