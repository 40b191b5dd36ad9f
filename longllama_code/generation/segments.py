"""Segments of one model, shared by the memories of all repositories in this process.

Engines over one model share its encoder and its store; each has a memory of its own. A segment that
one of them encoded is found by the others. A collection of the store keeps the segments that any
memory uses.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from longllama_code.errors import StoreError
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.overlay import BaseMemory, OverlaidMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.shared_segments import SharedSegments
from longllama_code.memory.storage.record_file import RecordStorage
from longllama_code.memory.storage.store import SegmentStore, StoredSegment

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Counts:
    """Numbers of segments by where they came from."""

    encoded: int = 0
    loaded: int = 0
    """Read from the store."""
    kept: int = 0
    """In memory already."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.encoded + other.encoded, self.loaded + other.loaded, self.kept + other.kept
        )


class Segments:
    """Owner of the encoder and the store. Only the thread that owns the model may use it.

    Args:
        loaded: the model.
        store: store of segments; None keeps them in RAM.
    """

    def __init__(self, loaded: LoadedModel, store: SegmentStore | None) -> None:
        self._loaded, self._format = loaded, loaded.record_format
        self._store = store or loaded.store(None)
        self._encoder = loaded.encoder()
        self._memories: list[RepositoryMemory] = []
        self.problem: str | None = None if store else "persistence is off"
        """Why segments are not stored on disk, or None if they are."""

    @property
    def records(self) -> RecordStorage:
        """Records that the store reads from now."""
        return self._store.records

    @property
    def n_damaged(self) -> int:
        """Number of stored segments that were found damaged."""
        return self._store.n_damaged

    def open_memory(self) -> BaseMemory:
        """Return an empty memory over these segments."""
        segments = SharedSegments(self._format, self._store)
        memory = BaseMemory(self._loaded.model.config, segments)
        self._memories.append(memory)
        return memory

    def open_overlay(self, base: BaseMemory) -> OverlaidMemory:
        """Return a user's memory over a base, without files of their own so far."""
        memory = OverlaidMemory(base)
        self._memories.append(memory)
        return memory

    def close_memory(self, memory: RepositoryMemory) -> None:
        """Close a memory; without a store on disk, drop the segments that only it used."""
        memory.close()
        self._memories.remove(memory)
        if not self._store.persists and self._memories:
            self.clear()

    def identity(self, header: str, text: str) -> str:
        """Return the id of a segment, or of a file."""
        return self._encoder.identity(header, text)

    def pieces(self, header: str, text: str) -> list[Slice]:
        """Return how a file is cut, from the store if it was cut before."""
        file_id = self._encoder.identity(header, text)
        return self._with_store(lambda store: self._cut(store, file_id, text))

    def know_pieces(self, header: str, text: str, pieces: list[Slice]) -> None:
        """Store how a file is cut, unless the store knows it."""
        file_id = self._encoder.identity(header, text)

        def put(store: SegmentStore) -> None:
            if store.pieces(file_id) is None:
                store.put_pieces(file_id, pieces)

        self._with_store(put)

    def admit(self, segment_id: str, records: Tensor, page_offsets: Collection[int]) -> None:
        """Store a segment that was encoded elsewhere; if it is stored already, change nothing.

        Raises:
            StoreError: the records are not those of this model.
        """
        if records.shape[1:] != (self._format.n_bytes,):
            raise StoreError(
                f"segment {segment_id} has records of {records.shape[1]} bytes, not of "
                f"{self._format.n_bytes}; it is of another model. Encode it with this one."
            )
        self._with_store(lambda store: store.put(segment_id, records, page_offsets))

    def lacks(self, segment_id: str) -> bool:
        """Whether a segment is neither in the store nor in RAM."""
        return self._with_store(lambda store: segment_id not in store)

    def get(self, segment_id: str, header: str, text: str) -> tuple[StoredSegment, Counts]:
        """Return a segment from the store; encode and store it first if it is not there."""
        found = self._with_store(lambda store: store.find(segment_id))
        if found is not None:
            return found, Counts(loaded=1)
        segment = self._encoder.encode(header, text)
        stored = self._with_store(lambda store: self._format.store(store, segment))
        return stored, Counts(encoded=1)

    def refresh(self, memory: RepositoryMemory) -> None:
        """Let a memory read from the records that the store has now."""
        self._with_store(memory.read_from)

    def make_room(self) -> None:
        """If the store is full, remove segments used longest ago that no memory uses."""
        if self._store.is_full:
            self._collect(None)

    def clear(self) -> int:
        """Remove every segment that no memory uses; return how many were removed."""
        return self._collect(0)

    def totals(self) -> tuple[int, int, int]:
        """Return the numbers of segments, tokens and bytes on disk."""
        totals = self._with_store(lambda store: store.totals())
        return totals if self._store.persists else (0, 0, 0)

    def report(self, problem: Exception) -> None:
        """Log and remember why segments are not stored on disk."""
        logger.warning("memory is no longer kept on disk: %s", problem)
        self.problem = str(problem)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _cut(self, store: SegmentStore, file_id: str, text: str) -> list[Slice]:
        pieces = store.pieces(file_id)
        if pieces is None:
            pieces = self._encoder.cut(text)
            store.put_pieces(file_id, pieces)
        return pieces

    def _collect(self, max_bytes: int | None) -> int:
        in_use = {segment_id for memory in self._memories for segment_id in memory.segment_ids}
        n_removed = self._with_store(lambda store: store.collect(in_use, max_bytes))
        for memory in self._memories:
            self.refresh(memory)
        return n_removed

    def _with_store(self, use: Callable[[SegmentStore], T]) -> T:
        """Call a function with the store; if it fails, continue with a store in RAM.

        A full disk must not cost a suggestion.
        """
        try:
            return use(self._store)
        except StoreError as error:
            if not self._store.persists:
                raise
            self.report(error)
            self._store.close()
            self._store = self._loaded.store(None)
            for memory in self._memories:
                memory.read_from(self._store)
            return use(self._store)
