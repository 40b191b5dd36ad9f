"""The segments of one model, for every repository that is in memory here.

Several engines over one model share its encoder and its store; each has a memory of its own. What
one of them encoded, the others find; what the store collects, none of them holds.
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
from longllama_code.memory.shared_segments import HeldSegments
from longllama_code.memory.storage.record_file import Records
from longllama_code.memory.storage.store import SegmentStore, StoredSegment

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Counts:
    """Where segments came from."""

    encoded: int = 0
    loaded: int = 0
    kept: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.encoded + other.encoded, self.loaded + other.loaded, self.kept + other.kept
        )


class Segments:
    """Owner of the encoder and the store. Used by the thread that owns the model, alone.

    Args:
        loaded: the model.
        store: where segments are kept; None keeps them in RAM.
    """

    def __init__(self, loaded: LoadedModel, store: SegmentStore | None) -> None:
        self._loaded, self._form = loaded, loaded.form
        self._store = store or loaded.store(None)
        self._encoder = loaded.encoder()
        self._memories: list[RepositoryMemory] = []
        self.problem: str | None = None if store else "persistence is off"
        """Why nothing is kept on disk, where that is so."""

    @property
    def records(self) -> Records:
        """The records that the store reads from now."""
        return self._store.records

    @property
    def n_damaged(self) -> int:
        """Stored segments that were found damaged."""
        return self._store.n_damaged

    def open_memory(self) -> BaseMemory:
        """An empty memory over these segments."""
        held = HeldSegments(self._form, self._store)
        memory = BaseMemory(self._loaded.model.config, held)
        self._memories.append(memory)
        return memory

    def open_overlay(self, base: BaseMemory) -> OverlaidMemory:
        """What one user is to see of a memory, and of files of their own."""
        memory = OverlaidMemory(base)
        self._memories.append(memory)
        return memory

    def close_memory(self, memory: RepositoryMemory) -> None:
        """Nobody asks for a memory any more; what was kept in RAM for it alone goes with it."""
        memory.close()
        self._memories.remove(memory)
        if not self._store.persists and self._memories:
            self.clear()

    def identity(self, header: str, text: str) -> str:
        """The id of a segment, or of a file."""
        return self._encoder.identity(header, text)

    def pieces(self, header: str, text: str) -> list[Slice]:
        """How a file is cut; the store knows it of files that were remembered before."""
        file_id = self._encoder.identity(header, text)
        return self._kept(lambda store: self._cut(store, file_id, text))

    def know_pieces(self, header: str, text: str, pieces: list[Slice]) -> None:
        """Take note of how a file is cut, where the store does not know it."""
        file_id = self._encoder.identity(header, text)

        def note(store: SegmentStore) -> None:
            if store.pieces(file_id) is None:
                store.put_pieces(file_id, pieces)

        self._kept(note)

    def admit(self, segment_id: str, records: Tensor, page_offsets: Collection[int]) -> None:
        """Put a segment that was encoded elsewhere into the store; a second time changes nothing.

        Raises:
            StoreError: the records are not those of this model.
        """
        if records.shape[1:] != (self._form.n_bytes,):
            raise StoreError(
                f"segment {segment_id} has records of {records.shape[1]} bytes, not of "
                f"{self._form.n_bytes}; it is of another model."
            )
        self._kept(lambda store: store.put(segment_id, records, page_offsets))

    def lacks(self, segment_id: str) -> bool:
        """Whether a segment is neither in the store nor in RAM."""
        return self._kept(lambda store: segment_id not in store)

    def get(self, segment_id: str, header: str, text: str) -> tuple[StoredSegment, Counts]:
        """A segment from the store, encoded first where it is not there."""
        found = self._kept(lambda store: store.find(segment_id))
        if found is not None:
            return found, Counts(loaded=1)
        segment = self._encoder.encode(header, text)
        return self._kept(lambda store: self._form.keep(store, segment)), Counts(encoded=1)

    def follow(self, memory: RepositoryMemory) -> None:
        """Let a memory read from the records that the store has now."""
        self._kept(memory.follow)

    def make_room(self) -> None:
        """Collect what was used longest ago, and no memory holds, where the store is full."""
        if self._store.is_full:
            self._collect(None)

    def clear(self) -> int:
        """Remove every segment that no memory holds; how many there were."""
        return self._collect(0)

    def totals(self) -> tuple[int, int, int]:
        """Segments, tokens and bytes on disk."""
        totals = self._kept(lambda store: store.totals())
        return totals if self._store.persists else (0, 0, 0)

    def report(self, problem: Exception) -> None:
        """Say why nothing is kept on disk."""
        logger.warning("memory is no longer kept on disk: %s", problem)
        self.problem = str(problem)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _cut(self, store: SegmentStore, file_id: str, text: str) -> list[Slice]:
        pieces = store.pieces(file_id)
        if pieces is None:
            pieces = self._encoder.cut(text)
            store.put_pieces(file_id, pieces)
        return pieces

    def _collect(self, max_bytes: int | None) -> int:
        held = {held for memory in self._memories for held in memory.segment_ids}
        n_removed = self._kept(lambda store: store.collect(held, max_bytes))
        for memory in self._memories:
            self.follow(memory)
        return n_removed

    def _kept(self, use: Callable[[SegmentStore], T]) -> T:
        """What the store answers; where it fails, memory goes on in RAM, and that is asked.

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
                memory.follow(self._store)
            return use(self._store)
