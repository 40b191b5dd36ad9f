"""The rows of repository memory: one for each token that attention may read.

Rows of a segment lie together, and say where in the store its records are. A segment that is
removed leaves a gap, which is masked until gaps make up a tenth of the rows; then all are numbered
anew.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from longllama_code.memory.retrieval.clusters import ClusterLists
from longllama_code.memory.retrieval.ngrams import NgramIndex
from longllama_code.memory.storage.record_file import Records
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.store import StoredSegment
from longllama_code.model.buffer import GrowingTensor

MAX_GAP_SHARE = 0.1


class MemoryRows:
    """Which records are in memory, and where what is asked for stands among them."""

    def __init__(self, form: RecordFormat, records: Records) -> None:
        self.form, self.records = form, records
        self._positions = GrowingTensor(dim=0)
        self._ngrams = NgramIndex()
        self._lists = self._no_lists()
        self._spans: dict[str, tuple[int, int]] = {}
        self._n_gap_rows = 0

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def device(self) -> torch.device:
        """Where the records are read."""
        return self.records.device

    @property
    def nbytes(self) -> int:
        """Bytes held beside the records."""
        lists = self._lists.nbytes if self._lists else 0
        return self._positions.nbytes + self._ngrams.nbytes + lists

    @property
    def ngrams(self) -> NgramIndex:
        """The tokens of the rows, and where sequences of them stand."""
        return self._ngrams

    @property
    def lists(self) -> ClusterLists | None:
        """The rows by cluster, up to date; None where keys have no clusters."""
        if self._lists is not None:
            self._lists.sort()
        return self._lists

    @property
    def n_tokens(self) -> int:
        """Tokens that can be seen."""
        return len(self) - self._n_gap_rows

    @torch.no_grad()
    def add(self, segment: StoredSegment) -> None:
        """Take in a segment."""
        start, end = len(self), len(self) + segment.n_tokens
        self._spans[segment.id] = start, end
        positions = torch.arange(segment.start, segment.start + segment.n_tokens)
        self._positions.append(positions.int().to(self.device))
        records = self.records.rows[segment.start : segment.start + segment.n_tokens]
        self._ngrams.add(self.form.ids(records))
        if self._lists is not None:
            keys = self.form.keys_as_kept(records) if self._lists.keeps_keys else None
            self._lists.add(start, self.form.clusters(records), keys)

    def remove(self, segment_id: str) -> None:
        """Turn a segment's rows into a gap."""
        start, end = self._spans.pop(segment_id)
        self._n_gap_rows += end - start
        if self._n_gap_rows > MAX_GAP_SHARE * len(self):
            self._close_gaps()
        elif self._lists is not None:
            self._lists.remove(start, end)

    def move(self, records: Records, starts: Mapping[str, int]) -> None:
        """The same segments are in other records now, each from the row given on."""
        for segment_id, (start, end) in self._spans.items():
            first = starts[segment_id]
            positions = torch.arange(first, first + end - start, dtype=torch.int32)
            self._positions.view()[start:end] = positions.to(self.device)
        self.records = records

    def span(self, segment_id: str) -> tuple[int, int]:
        """First row of a segment, and one past its last."""
        return self._spans[segment_id]

    def positions(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """Where the records of some rows are, in ``records``: int32."""
        positions = self._positions.view()
        return positions[rows] if isinstance(rows, slice) else positions.index_select(0, rows)

    def content(self, segment_id: str) -> Tensor:
        """The records of a segment, uint8 (n, bytes)."""
        first, last = self.positions(slice(*self._spans[segment_id]))[[0, -1]].tolist()
        return self.records.rows[first : last + 1]

    def visible(self, hidden: list[tuple[int, int]]) -> Tensor | None:
        """Bool (M,) on the CPU, False in gaps and in spans that are ``hidden``; None: all are."""
        if not hidden and not self._n_gap_rows:
            return None
        visible = torch.full((len(self),), not self._n_gap_rows)
        if self._n_gap_rows:
            for start, end in self._spans.values():
                visible[start:end] = True
        for start, end in hidden:
            visible[start:end] = False
        return visible

    def _no_lists(self) -> ClusterLists | None:
        """Those of no rows; kernels read 8-bit keys from them."""
        form, by_kernels = self.form, self.device.type == "cpu"
        if not form.n_clusters:
            return None
        key_bytes = form.head_dim if form.key_bits == 8 and by_kernels else 0
        return ClusterLists(form.n_heads, form.n_clusters, key_bytes)

    def _close_gaps(self) -> None:
        spans = sorted(self._spans.items(), key=lambda item: item[1])
        positions = self._positions
        self.__init__(self.form, self.records)
        for segment_id, (start, end) in spans:
            first = int(positions.view()[start])
            self.add(StoredSegment(segment_id, first, end - start, ()))
