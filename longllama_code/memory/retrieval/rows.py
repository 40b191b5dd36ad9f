"""Rows of repository memory, one for each token that attention may read.

Rows of a segment are adjacent, and refer to its records in the store. A removed segment leaves a
gap, which is masked; once gaps make up a tenth of the rows, all rows are numbered anew.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from longllama_code.memory.retrieval.clusters import ClusterLists
from longllama_code.memory.retrieval.ngrams import NgramIndex
from longllama_code.memory.storage.record_file import RecordStorage
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.store import StoredSegment
from longllama_code.model.buffer import GrowingTensor

MAX_GAP_SHARE = 0.1


class MemoryRows:
    """Records in memory, in the order of rows, with the indices by which they are searched.

    Args:
        record_format: format of the records.
        records: where they are.
    """

    def __init__(self, record_format: RecordFormat, records: RecordStorage) -> None:
        self.record_format, self.records = record_format, records
        self._clear()

    def _clear(self) -> None:
        self._positions = GrowingTensor(dim=0)
        self._ngrams = NgramIndex()
        self._lists = self._new_lists()
        self._spans: dict[str, tuple[int, int]] = {}
        self._n_gap_rows = 0

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def device(self) -> torch.device:
        """Device on which records are read."""
        return self.records.device

    @property
    def nbytes(self) -> int:
        """Bytes of the indices, without the records."""
        lists = self._lists.nbytes if self._lists else 0
        return self._positions.nbytes + self._ngrams.nbytes + lists

    @property
    def ngrams(self) -> NgramIndex:
        """Index of the rows' token sequences."""
        return self._ngrams

    @property
    def lists(self) -> ClusterLists | None:
        """Up-to-date lists of rows by cluster; None for keys without clusters."""
        if self._lists is not None:
            self._lists.sort()
        return self._lists

    @property
    def n_tokens(self) -> int:
        """Number of rows that are no gap."""
        return len(self) - self._n_gap_rows

    @torch.no_grad()
    def add(self, segment: StoredSegment) -> None:
        """Append the rows of a segment."""
        start, end = len(self), len(self) + segment.n_tokens
        self._spans[segment.id] = start, end
        positions = torch.arange(segment.start, segment.start + segment.n_tokens)
        self._positions.append(positions.int().to(self.device))
        records = self.records.rows[segment.start : segment.start + segment.n_tokens]
        self._ngrams.add(self.record_format.ids(records))
        if self._lists is not None:
            keys = self.record_format.stored_keys(records) if self._lists.keeps_keys else None
            self._lists.add(start, self.record_format.clusters(records), keys)

    def remove(self, segment_id: str) -> None:
        """Turn the rows of a segment into a gap."""
        start, end = self._spans.pop(segment_id)
        self._n_gap_rows += end - start
        if self._n_gap_rows > MAX_GAP_SHARE * len(self):
            self._close_gaps()
        elif self._lists is not None:
            self._lists.remove(start, end)

    def move(self, records: RecordStorage, starts: Mapping[str, int]) -> None:
        """Read from other records, which contain the same segments.

        Args:
            records: the other records.
            starts: segment id → row of its first record there.
        """
        for segment_id, (start, end) in self._spans.items():
            first = starts[segment_id]
            positions = torch.arange(first, first + end - start, dtype=torch.int32)
            self._positions.view()[start:end] = positions.to(self.device)
        self.records = records

    def span(self, segment_id: str) -> tuple[int, int]:
        """Return the first row of a segment, and one past its last."""
        return self._spans[segment_id]

    def positions(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the positions of some rows' records in ``records``, int32."""
        positions = self._positions.view()
        return positions[rows] if isinstance(rows, slice) else positions.index_select(0, rows)

    def content(self, segment_id: str) -> Tensor:
        """Return the records of a segment, uint8 (n, bytes)."""
        first, last = self.positions(slice(*self._spans[segment_id]))[[0, -1]].tolist()
        return self.records.rows[first : last + 1]

    def visible(self, hidden: list[tuple[int, int]]) -> Tensor | None:
        """Return visible rows, bool (M,) on the CPU: all but gaps and spans that are ``hidden``.

        None if all rows are visible.
        """
        if not hidden and not self._n_gap_rows:
            return None
        visible = torch.full((len(self),), not self._n_gap_rows)
        if self._n_gap_rows:
            for start, end in self._spans.values():
                visible[start:end] = True
        for start, end in hidden:
            visible[start:end] = False
        return visible

    def _new_lists(self) -> ClusterLists | None:
        """Return empty lists; those for kernels contain 8-bit keys as well."""
        layout, by_kernels = self.record_format, self.device.type == "cpu"
        if not layout.n_clusters:
            return None
        key_bytes = layout.head_dim if layout.key_bits == 8 and by_kernels else 0
        return ClusterLists(layout.n_heads, layout.n_clusters, key_bytes)

    def _close_gaps(self) -> None:
        """Number all rows anew, without gaps."""
        spans = sorted(self._spans.items(), key=lambda item: item[1])
        positions = self._positions
        self._clear()
        for segment_id, (start, end) in spans:
            first = int(positions.view()[start])
            self.add(StoredSegment(segment_id, first, end - start, ()))
