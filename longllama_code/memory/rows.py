"""The tensors of repository memory: rows of keys, values and token ids, one row a token.

Rows of a segment lie together. A segment that is removed leaves a gap, which is masked until gaps
make up a tenth of the rows; then the rows move together once.
"""

import torch
from torch import Tensor

from longllama_code.memory.ngrams import NgramIndex
from longllama_code.memory.segment import EncodedSegment
from longllama_code.model.buffer import GrowingTensor

MAX_GAP_SHARE = 0.1


class MemoryRows:
    """Keys and values of every resident segment, in the type that attention computes in."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._keys = GrowingTensor(dim=-2)
        self._values = GrowingTensor(dim=-2)
        self._ngrams = NgramIndex()
        self._spans: dict[str, tuple[int, int]] = {}
        self._n_gap_rows = 0

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self._device

    @property
    def nbytes(self) -> int:
        """Bytes held, gaps and spare capacity included."""
        return self._keys.nbytes + self._values.nbytes + self._ngrams.nbytes

    @property
    def ngrams(self) -> NgramIndex:
        """The tokens of the rows, and where sequences of them stand."""
        return self._ngrams

    @property
    def n_tokens(self) -> int:
        """Tokens that can be seen."""
        return len(self) - self._n_gap_rows

    @torch.no_grad()
    def add(self, segment: EncodedSegment) -> None:
        """Append a segment's rows."""
        start = len(self)
        self._keys.append(segment.keys.to(self._device, self._dtype))
        self._values.append(segment.values.to(self._device, self._dtype))
        self._ngrams.add(segment.ids)
        self._spans[segment.id] = start, start + segment.n_tokens

    def remove(self, segment_id: str) -> None:
        """Turn a segment's rows into a gap."""
        start, end = self._spans.pop(segment_id)
        self._n_gap_rows += end - start
        if self._n_gap_rows > MAX_GAP_SHARE * len(self):
            self._close_gaps()

    def span(self, segment_id: str) -> tuple[int, int]:
        """First row of a segment, and one past its last."""
        return self._spans[segment_id]

    def keys_and_values(self, heads: slice) -> tuple[Tensor, Tensor]:
        """Rows of some memory heads, each (heads, M, D); gaps included."""
        return self._keys.view()[heads], self._values.view()[heads]

    def visible(self, hidden: list[tuple[int, int]]) -> Tensor | None:
        """Bool (M,), False in gaps and in the row spans ``hidden``; None where all are visible."""
        if not hidden and not self._n_gap_rows:
            return None
        visible = torch.full((len(self),), not self._n_gap_rows, device=self._device)
        if self._n_gap_rows:
            for start, end in self._spans.values():
                visible[start:end] = True
        for start, end in hidden:
            visible[start:end] = False
        return visible

    @torch.no_grad()
    def _close_gaps(self) -> None:
        spans = sorted(self._spans.items(), key=lambda item: item[1])
        keys, values, ngrams = self._keys, self._values, self._ngrams
        self.__init__(self._dtype, self._device)
        for segment_id, (start, end) in spans:
            self._spans[segment_id] = len(self), len(self) + end - start
            self._keys.append(keys.view()[:, start:end])
            self._values.append(values.view()[:, start:end])
            self._ngrams.add(ngrams.ids(start, end))
