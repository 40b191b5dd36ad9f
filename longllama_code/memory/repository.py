"""Repository memory: which segments of which files the memory layers see.

It is a set: the order in which files came does not matter. Who encodes is the engine's business,
and the records are the store's; what one completion sees of it is a ``MemoryView``.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from longllama_code.config import LongLlamaConfig
from longllama_code.memory.records import RecordFormat
from longllama_code.memory.rows import MemoryRows
from longllama_code.memory.segmenter import Slice
from longllama_code.memory.store import SegmentStore, StoredSegment


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
        form: how records of its tokens look.
        store: where they are.
    """

    def __init__(self, config: LongLlamaConfig, form: RecordFormat, store: SegmentStore) -> None:
        self.rows = MemoryRows(form, store.records)
        self.read_keys = config.mem_read_keys
        """Keys of each memory head that are read for a query; None for all."""
        self._heads = _head_ranges(config)
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
    def segment_ids(self) -> Collection[str]:
        """The segments in memory."""
        return self._holders.keys()

    @property
    def n_segments(self) -> int:
        """Different segments in memory."""
        return len(self._holders)

    def n_tokens(self, path: str) -> int:
        """Tokens of one file, repeated segments counted once."""
        spans = map(self.rows.span, _ids(self._files[path]))
        return sum(end - start for start, end in spans)

    def heads(self, layer_idx: int) -> range:
        """Which memory heads of all are a layer's."""
        return self._heads[layer_idx]

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._page_offsets

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

    def follow(self, store: SegmentStore) -> None:
        """Read from a store's records, where it has others than before, or is another store.

        What it lacks of the segments in memory is put into it.

        Raises:
            StoreError: it could not take them.
        """
        while self.rows.records is not store.records:
            records, starts = store.records, dict[str, int]()
            for segment_id, offsets in self._page_offsets.items():
                found = store.find(segment_id)
                if found is None:
                    found = store.put(segment_id, self.rows.content(segment_id), offsets)
                starts[segment_id] = found.start
            if records is store.records:
                self.rows.move(records, starts)

    def _hold(self, segment_id: str, fresh: Mapping[str, StoredSegment]) -> None:
        if segment_id not in self:
            self.rows.add(fresh[segment_id])
            self._page_offsets[segment_id] = fresh[segment_id].page_offsets
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


def _head_ranges(config: LongLlamaConfig) -> dict[int, range]:
    ranges: dict[int, range] = {}
    start = 0
    for layer in sorted(config.mem_layers):
        stop = start + len(config.memory_heads(layer))
        ranges[layer] = range(start, stop)
        start = stop
    return ranges
