"""Segments in memory, kept once for all the memories that use them, by reference counts."""

from collections import Counter
from collections.abc import Collection, Mapping

from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.store import SegmentStore, StoredSegment


class SharedSegments:
    """Reference-counted owner of memory's rows; a segment's rows go with its last reference.

    Args:
        record_format: format of the segments' records.
        store: where the records are.
    """

    def __init__(self, record_format: RecordFormat, store: SegmentStore) -> None:
        self.rows = MemoryRows(record_format, store.records)
        self._page_offsets: dict[str, tuple[int, ...]] = {}
        self._references: Counter[str] = Counter()

    @property
    def ids(self) -> Collection[str]:
        """Ids of all segments in memory."""
        return self._references.keys()

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._page_offsets

    def page_offsets(self, segment_id: str) -> tuple[int, ...]:
        """Return where each page of a segment begins in its text; the last offset is the end."""
        return self._page_offsets[segment_id]

    def acquire(self, segment_id: str, fresh: Mapping[str, StoredSegment]) -> None:
        """Add a reference to a segment.

        Args:
            segment_id: the segment.
            fresh: stored segments, among them this one unless it is in memory already.
        """
        if segment_id not in self:
            self.rows.add(fresh[segment_id])
            self._page_offsets[segment_id] = fresh[segment_id].page_offsets
        self._references[segment_id] += 1

    def release(self, segment_id: str) -> None:
        """Remove a reference to a segment."""
        self._references[segment_id] -= 1
        if not self._references[segment_id]:
            del self._references[segment_id]
            del self._page_offsets[segment_id]
            self.rows.remove(segment_id)

    def read_from(self, store: SegmentStore) -> None:
        """Read the rows from a store's current records; put segments that it lacks into it.

        Raises:
            StoreError: the store could not take them.
        """
        while self.rows.records is not store.records:
            records, starts = store.records, dict[str, int]()
            for segment_id, offsets in self._page_offsets.items():
                found = store.find(segment_id)
                if found is None:
                    found = store.put(segment_id, self.rows.content(segment_id), offsets)
                starts[segment_id] = found.start
            if records is store.records:  # otherwise a collection replaced them meanwhile
                self.rows.move(records, starts)
