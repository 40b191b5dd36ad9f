"""Repository memory: which segments of which files the memory layers see.

It is a set: the order in which files came does not matter. Who encodes is the engine's business,
and the records are the store's; what one completion sees of it is a ``CompletionMemory``.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from longllama_code.config import LongLlamaConfig
from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.shared_segments import HeldSegments
from longllama_code.memory.storage.store import SegmentStore, StoredSegment


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
    """Every remembered file, and the rows of its segments.

    Args:
        config: of the model.
        held: the segments in memory.
    """

    def __init__(self, config: LongLlamaConfig, held: HeldSegments) -> None:
        self.config, self.held = config, held
        self.read_keys = config.mem_read_keys
        """Keys of each memory head that are read for a query; None for all."""
        self._heads = _head_ranges(config)
        self._files: dict[str, RememberedFile] = {}
        self._counts: Counter[str] = Counter()
        self._state = 0

    @property
    def rows(self) -> MemoryRows:
        """The rows of all segments in memory."""
        return self.held.rows

    @property
    def state(self) -> int:
        """Changes with the set of segments that are seen, and with nothing else."""
        return self._state

    @property
    def files(self) -> Mapping[str, RememberedFile]:
        """The remembered files by path."""
        return self._files

    @property
    def segment_ids(self) -> Collection[str]:
        """The segments of its files."""
        return self._counts.keys()

    @property
    def n_segments(self) -> int:
        """Different segments in memory."""
        return len(self._counts)

    @property
    def n_seen_tokens(self) -> int:
        """Tokens that can be seen."""
        return self.rows.n_tokens

    def n_files_with(self, segment_id: str) -> int:
        """How many files hold a segment."""
        return self._counts[segment_id]

    def n_tokens(self, path: str) -> int:
        """Tokens of one file, repeated segments counted once."""
        spans = map(self.rows.span, ids_of(self.files[path]))
        return sum(end - start for start, end in spans)

    def heads(self, layer_idx: int) -> range:
        """Which memory heads of all are a layer's."""
        return self._heads[layer_idx]

    def visible(self, hidden: list[tuple[int, int]]) -> Tensor | None:
        """Bool (M,), False in gaps and in the row spans ``hidden``; None where all are visible."""
        return self.rows.visible(hidden)

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self.held

    def replace(
        self,
        path: str,
        text: str,
        placed: Sequence[tuple[str, Slice]],
        fresh: Mapping[str, StoredSegment],
    ) -> None:
        """Put a file in place of its former version, at once: no completion sees half of either.

        Args:
            path: the file.
            text: its text.
            placed: ids of its segments, and where they stand in the text.
            fresh: those of them that no file in memory holds yet, in the records read from.
        """
        for segment_id in {segment_id for segment_id, _ in placed}:
            self._hold(segment_id, fresh)
        segments = (
            RememberedSegment(held, piece, self.held.page_offsets(held)) for held, piece in placed
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

    def follow(self, store: SegmentStore) -> None:
        """Read from a store's records; see ``HeldSegments.follow``."""
        self.held.follow(store)

    def close(self) -> None:
        """Hold nothing any more."""
        for path in list(self._files):
            RepositoryMemory.forget(self, path)

    def _hold(self, segment_id: str, fresh: Mapping[str, StoredSegment]) -> None:
        if not self._counts[segment_id]:
            self.held.hold(segment_id, fresh)
            self._state ^= int(segment_id, 16)
        self._counts[segment_id] += 1

    def _release(self, file: RememberedFile) -> None:
        for segment_id in ids_of(file):
            self._counts[segment_id] -= 1
            if not self._counts[segment_id]:
                del self._counts[segment_id]
                self.held.release(segment_id)
                self._state ^= int(segment_id, 16)


def ids_of(file: RememberedFile) -> set[str]:
    """The segments of a file."""
    return {segment.id for segment in file.segments}


def _head_ranges(config: LongLlamaConfig) -> dict[int, range]:
    ranges: dict[int, range] = {}
    start = 0
    for layer in sorted(config.mem_layers):
        stop = start + len(config.memory_heads(layer))
        ranges[layer] = range(start, stop)
        start = stop
    return ranges
