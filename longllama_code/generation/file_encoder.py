"""Encoding of a file for memory: its segments, of which only those that nobody has are encoded."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from longllama_code.generation.segments import Counts, Segments
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.storage.record_file import RecordStorage
from longllama_code.memory.storage.store import StoredSegment


@dataclass(frozen=True)
class EncodedFile:
    """File whose segments are all at hand."""

    placed: Sequence[tuple[str, Slice]]
    """Ids of its segments, and their positions in the text."""
    fresh: Mapping[str, StoredSegment]
    """Segments of it that are not in memory yet, by id."""
    counts: Counts


@dataclass
class _PendingFile:
    """Segments of a file that is being remembered."""

    records: RecordStorage
    """Storage that contains the segments."""
    segments: dict[str, StoredSegment] = field(default_factory=dict[str, StoredSegment])
    counts: Counts = field(default_factory=Counts)
    counted: set[str] = field(default_factory=set[str])


class FileEncoder:
    """Encoder of files for one memory, and owner of the counts of their segments.

    Args:
        segments: where segments come from.
        memory: the memory; what it has is not encoded again.
    """

    def __init__(self, segments: Segments, memory: RepositoryMemory) -> None:
        self._segments, self._memory = segments, memory
        self.counts = Counts()
        """Segments of all files since the start."""

    def encode(self, header: str, text: str) -> Generator[None, None, EncodedFile]:
        """Return a file's segments, encoded where need be; yields after each segment.

        Args:
            header: header of its path.
            text: its text.
        """
        pieces = self._segments.pieces(header, text)
        parts = [text[piece.start : piece.end] for piece in pieces]
        pending = _PendingFile(self._segments.records)
        for part in parts:
            self._take(header, part, pending)
            yield
        ids = self._settle(header, parts, pending)
        placed = list(zip(ids, pieces, strict=True))
        return EncodedFile(placed, pending.segments, pending.counts)

    def _take(self, header: str, text: str, pending: _PendingFile) -> str:
        """Return the id of a segment, encoded if neither memory nor the store has it."""
        segment_id = self._segments.identity(header, text)
        if segment_id in pending.segments:
            return segment_id
        if segment_id in self._memory:
            counts = Counts(kept=1)
        else:
            pending.segments[segment_id], counts = self._segments.get(segment_id, header, text)
        if segment_id not in pending.counted:
            pending.counted.add(segment_id)
            pending.counts += counts
            self.counts += counts
        return segment_id

    def _settle(self, header: str, parts: list[str], pending: _PendingFile) -> list[str]:
        """Return the ids of all segments, once all are in the records that memory reads from."""
        while True:
            self._segments.refresh(self._memory)
            if pending.records is not self._segments.records:  # a collection moved the segments
                pending.records = self._segments.records
                pending.segments.clear()
            ids = [self._take(header, part, pending) for part in parts]
            if pending.records is self._segments.records is self._memory.rows.records:
                return ids
