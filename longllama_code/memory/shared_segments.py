"""The segments in memory, each once, for everybody who reads them: their rows in the records."""

from collections import Counter
from collections.abc import Collection, Mapping

from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.store import SegmentStore, StoredSegment


class HeldSegments:
    """Owner of the rows. A segment leaves them once nobody holds it any more.

    Args:
        form: how records of its tokens look.
        store: where they are.
    """

    def __init__(self, form: RecordFormat, store: SegmentStore) -> None:
        self.rows = MemoryRows(form, store.records)
        self._page_offsets: dict[str, tuple[int, ...]] = {}
        self._holders: Counter[str] = Counter()

    @property
    def ids(self) -> Collection[str]:
        """The segments that somebody holds."""
        return self._holders.keys()

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._page_offsets

    def page_offsets(self, segment_id: str) -> tuple[int, ...]:
        """Where each page of a segment begins, in its text; the last is its end."""
        return self._page_offsets[segment_id]

    def hold(self, segment_id: str, fresh: Mapping[str, StoredSegment]) -> None:
        """Hold a segment once more; it is in ``fresh`` where nobody held it so far."""
        if segment_id not in self:
            self.rows.add(fresh[segment_id])
            self._page_offsets[segment_id] = fresh[segment_id].page_offsets
        self._holders[segment_id] += 1

    def release(self, segment_id: str) -> None:
        """Hold a segment once less."""
        self._holders[segment_id] -= 1
        if not self._holders[segment_id]:
            del self._holders[segment_id]
            del self._page_offsets[segment_id]
            self.rows.remove(segment_id)

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
