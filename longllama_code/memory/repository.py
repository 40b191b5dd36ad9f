"""Repository memory: which segments of which files the memory layers see.

It is a set: the order in which files came does not matter. Who encodes and who stores is the
engine's business; what one completion sees of it is a ``MemoryView``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from longllama_code.config import LongLlamaConfig
from longllama_code.memory.rows import MemoryRows
from longllama_code.memory.segment import EncodedSegment
from longllama_code.memory.segmenter import Slice


@dataclass(frozen=True)
class RememberedSegment:
    """Where a segment stands in its file."""

    id: str
    piece: Slice
    page_offsets: tuple[int, ...]
    """Where each of its pages begins, in the segment's text; the last is its end."""


@dataclass(frozen=True)
class RememberedFile:
    """A file as it was when it was encoded."""

    path: str
    text: str
    segments: tuple[RememberedSegment, ...]


class RepositoryMemory:
    """Every remembered file, and the rows of its segments."""

    def __init__(self, config: LongLlamaConfig, dtype: torch.dtype, device: torch.device) -> None:
        self.rows = MemoryRows(dtype, device)
        self._heads = _head_slices(config)
        self._files: dict[str, RememberedFile] = {}
        self._page_offsets: dict[str, tuple[int, ...]] = {}
        self._holders: Counter[str] = Counter()
        self.state = 0
        """Changes with the set of segments, and with nothing else."""

    @property
    def files(self) -> dict[str, RememberedFile]:
        """The remembered files by path; not to be changed from outside."""
        return self._files

    @property
    def n_segments(self) -> int:
        """Different segments in memory."""
        return len(self._holders)

    def n_tokens(self, path: str) -> int:
        """Tokens of one file, repeated segments counted once."""
        spans = map(self.rows.span, _ids(self._files[path]))
        return sum(end - start for start, end in spans)

    def heads(self, layer_idx: int) -> slice:
        """Where a layer's memory heads lie in the rows."""
        return self._heads[layer_idx]

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._page_offsets

    def replace(
        self,
        path: str,
        text: str,
        placed: Sequence[tuple[str, Slice]],
        fresh: Mapping[str, EncodedSegment],
    ) -> None:
        """Put a file in place of its former version, at once: no completion sees half of either.

        Args:
            path: the file.
            text: its text.
            placed: ids of its segments, and where they stand in the text.
            fresh: those of them that no file in memory holds yet.
        """
        for segment_id in {segment_id for segment_id, _ in placed}:
            self._hold(segment_id, fresh)
        segments = (
            RememberedSegment(held, piece, self._page_offsets[held]) for held, piece in placed
        )
        file = RememberedFile(path, text, tuple(segments))
        former = self._files.pop(path, None)
        self._files[path] = file
        if former is not None:
            self._release(former)

    def forget(self, path: str) -> bool:
        """Remove a file; False where it was not remembered."""
        file = self._files.pop(path, None)
        if file is not None:
            self._release(file)
        return file is not None

    def _hold(self, segment_id: str, fresh: Mapping[str, EncodedSegment]) -> None:
        if segment_id not in self:
            self.rows.add(fresh[segment_id])
            self._page_offsets[segment_id] = tuple(fresh[segment_id].page_offsets.tolist())
            self.state ^= int(segment_id, 16)
        self._holders[segment_id] += 1

    def _release(self, file: RememberedFile) -> None:
        for segment_id in _ids(file):
            self._holders[segment_id] -= 1
            if not self._holders[segment_id]:
                del self._holders[segment_id]
                del self._page_offsets[segment_id]
                self.rows.remove(segment_id)
                self.state ^= int(segment_id, 16)


def _ids(file: RememberedFile) -> set[str]:
    return {segment.id for segment in file.segments}


def _head_slices(config: LongLlamaConfig) -> dict[int, slice]:
    slices: dict[int, slice] = {}
    start = 0
    for layer in sorted(config.mem_layers):
        stop = start + len(config.memory_heads(layer))
        slices[layer] = slice(start, stop)
        start = stop
    return slices
