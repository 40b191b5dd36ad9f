"""Repository memory: the files, and the segments of each, that memory layers see.

Memory is a set: the order in which files are added does not matter. The engine encodes segments,
the store keeps their records, and ``CompletionMemory`` is what one completion sees.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.shared_segments import SharedSegments
from longllama_code.memory.storage.store import SegmentStore, StoredSegment
from longllama_code.model_config import ModelConfig


@dataclass(frozen=True)
class RememberedSegment:
    """Segment of a file in memory, with its position there."""

    id: str
    piece: Slice
    page_offsets: tuple[int, ...]
    """Offset of each page in the segment's text; the last is the end."""


@dataclass(frozen=True)
class RememberedFile:
    """File in memory, with the text that was encoded."""

    path: str
    text: str
    segments: tuple[RememberedSegment, ...]


class RepositoryMemory:
    """Files in memory, and the rows of their segments.

    Args:
        config: the model's.
        segments: segments in memory, shared with other memories.
    """

    def __init__(self, config: ModelConfig, segments: SharedSegments) -> None:
        self.config, self.segments = config, segments
        self.read_keys = config.mem_read_keys
        """Number of keys of each memory head that are read for a query; None for all."""
        self._heads = _head_ranges(config)
        self._files: dict[str, RememberedFile] = {}
        self._counts: Counter[str] = Counter()
        self._state = 0

    @property
    def rows(self) -> MemoryRows:
        """Rows of all shared segments, those of other memories included."""
        return self.segments.rows

    @property
    def state(self) -> int:
        """Hash of the set of visible segments."""
        return self._state

    @property
    def files(self) -> Mapping[str, RememberedFile]:
        """Files in memory, by path."""
        return self._files

    @property
    def segment_ids(self) -> Collection[str]:
        """Ids of its files' segments."""
        return self._counts.keys()

    @property
    def n_segments(self) -> int:
        """Number of distinct segments."""
        return len(self._counts)

    @property
    def n_seen_tokens(self) -> int:
        """Number of visible tokens."""
        return self.rows.n_tokens

    def n_files_with(self, segment_id: str) -> int:
        """Return how many files contain a segment."""
        return self._counts[segment_id]

    def n_tokens(self, path: str) -> int:
        """Return the number of tokens of one file, with repeated segments counted once."""
        spans = map(self.rows.span, ids_of(self.files[path]))
        return sum(end - start for start, end in spans)

    def heads(self, layer_idx: int) -> range:
        """Return the range of a layer's heads among all memory heads."""
        return self._heads[layer_idx]

    def visible(self, hidden: list[tuple[int, int]]) -> Tensor | None:
        """Return visible rows, bool (M,): all but gaps and ``hidden``; None if all are."""
        return self.rows.visible(hidden)

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self.segments

    def replace(
        self,
        path: str,
        text: str,
        placed: Sequence[tuple[str, Slice]],
        fresh: Mapping[str, StoredSegment],
    ) -> None:
        """Replace a file by a new version, at once: no completion sees a part of each.

        Args:
            path: path of the file.
            text: its text.
            placed: ids of its segments, and their positions in the text.
            fresh: those of the segments that are not in memory yet.
        """
        for segment_id in {segment_id for segment_id, _ in placed}:
            self._acquire(segment_id, fresh)
        segments = (
            RememberedSegment(segment_id, piece, self.segments.page_offsets(segment_id))
            for segment_id, piece in placed
        )
        file = RememberedFile(path, text, tuple(segments))
        former = self._files.pop(path, None)
        self._files[path] = file
        if former is not None:
            self._release(former)

    def forget(self, path: str) -> bool:
        """Remove a file; return False if it was not in memory."""
        file = self._files.pop(path, None)
        if file is not None:
            self._release(file)
        return file is not None

    def read_from(self, store: SegmentStore) -> None:
        """Read from a store's current records; see ``SharedSegments.read_from``."""
        self.segments.read_from(store)

    def close(self) -> None:
        """Remove all files."""
        for path in list(self._files):
            RepositoryMemory.forget(self, path)

    def _acquire(self, segment_id: str, fresh: Mapping[str, StoredSegment]) -> None:
        if not self._counts[segment_id]:
            self.segments.acquire(segment_id, fresh)
            self._state ^= int(segment_id, 16)
        self._counts[segment_id] += 1

    def _release(self, file: RememberedFile) -> None:
        for segment_id in ids_of(file):
            self._counts[segment_id] -= 1
            if not self._counts[segment_id]:
                del self._counts[segment_id]
                self.segments.release(segment_id)
                self._state ^= int(segment_id, 16)


def ids_of(file: RememberedFile) -> set[str]:
    """Return the ids of a file's segments."""
    return {segment.id for segment in file.segments}


def _head_ranges(config: ModelConfig) -> dict[int, range]:
    ranges: dict[int, range] = {}
    start = 0
    for layer in sorted(config.mem_layers):
        stop = start + len(config.memory_heads(layer))
        ranges[layer] = range(start, stop)
        start = stop
    return ranges
