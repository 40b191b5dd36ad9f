"""The engine: remember, forget, complete, status. The only door for callers.

Synchronous, and for one thread: whoever owns the engine owns every tensor. ``remember`` is a
generator, so that its owner can put a completion between any two segments.
"""

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from longllama_code.catalog import cache_root
from longllama_code.errors import StoreError
from longllama_code.generation.completer import Completer
from longllama_code.generation.decode import ShouldStop
from longllama_code.generation.models import LoadedModel, load, with_small_passes
from longllama_code.memory.encoder import SegmentEncoder, path_header
from longllama_code.memory.record_file import Records
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segmenter import Slice
from longllama_code.memory.store import SegmentStore, StoredSegment
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    RememberResult,
)

logger = logging.getLogger(__name__)

MODEL_NAME_FILE = "model"
"""In the folder of a store: whose it is, for people who look at their cache folder."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Counts:
    """Where segments came from."""

    encoded: int = 0
    loaded: int = 0
    kept: int = 0

    def __add__(self, other: "_Counts") -> "_Counts":
        return _Counts(
            self.encoded + other.encoded, self.loaded + other.loaded, self.kept + other.kept
        )


@dataclass
class _Taken:
    """The segments of a file that is being remembered."""

    records: Records
    """What they are in."""
    segments: dict[str, StoredSegment] = field(default_factory=dict[str, StoredSegment])
    counts: _Counts = field(default_factory=_Counts)
    counted: set[str] = field(default_factory=set[str])


class Engine:
    """A model, the repository in its memory, and the store behind it."""

    def __init__(self, loaded: LoadedModel, store: SegmentStore | None) -> None:
        model = loaded.model
        self._loaded, self._form = loaded, loaded.form
        self._store_problem = None if store else "persistence is off"
        self._store = store or loaded.store_in_ram()
        self._memory = RepositoryMemory(model.config, self._form, self._store)
        self._encoder = SegmentEncoder(model, loaded.tokenizer, loaded.fingerprint, loaded.limits)
        self._completer = Completer(model, loaded.tokenizer, self._memory, loaded.small)
        self._counts = _Counts()

    @classmethod
    def open(
        cls,
        model: str,
        cache_dir: Path | None = None,
        *,
        persist: bool = True,
        max_store_bytes: int | None = None,
    ) -> "Engine":
        """Load a model by name or folder, with its store in the cache folder.

        A store that cannot be used is a problem that status reports, not a reason to refuse.

        Raises:
            ModelNotFound: there is no such model here.
            CheckpointError: the model cannot be read.
        """
        loaded = with_small_passes(load(model))
        if not persist:
            return cls(loaded, None)
        try:
            folder = (cache_dir or cache_root()) / "memory" / loaded.fingerprint
            engine = cls(loaded, SegmentStore(folder, loaded.form.n_bytes, max_store_bytes))
            (folder / MODEL_NAME_FILE).write_text(loaded.name, "utf-8")
            return engine
        except (StoreError, OSError) as error:
            engine = cls(loaded, None)
            engine._report(error)
            return engine

    def remember(self, path: str, text: str) -> Generator[None, None, RememberResult]:
        """Take a file, or its new version, into memory; yields after each segment.

        The former version stays until the new one is complete. Closing the generator early leaves
        the former in place.
        """
        header = path_header(path)
        pieces = self._pieces(header, text)
        parts = [text[piece.start : piece.end] for piece in pieces]
        taken = _Taken(self._store.records)
        for part in parts:
            self._take(header, part, taken)
            yield
        ids = self._settle(header, parts, taken)
        self._memory.replace(path, text, list(zip(ids, pieces, strict=True)), taken.segments)
        self._make_room()
        n_tokens, counts = self._memory.n_tokens(path), taken.counts
        return RememberResult(path, n_tokens, len(ids), counts.encoded, counts.loaded, counts.kept)

    def forget(self, path: str) -> bool:
        """Take a file out of memory; False where it was not there. The store keeps its segments."""
        return self._memory.forget(path)

    def complete(self, request: CompletionRequest, should_stop: ShouldStop) -> CompletionResult:
        """A suggestion at a cursor.

        Raises:
            Cancelled: ``should_stop`` said so.
        """
        return self._completer.complete(request, should_stop)

    def status(self) -> EngineStatus:
        """What is in memory, and where it came from."""
        model, rows = self._loaded.model, self._memory.rows
        n_stored, _, stored_bytes = self._stored_totals()
        record_bytes = rows.n_tokens * self._form.n_bytes
        return EngineStatus(
            model=self._loaded.name,
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            n_files=len(self._memory.files),
            n_segments=self._memory.n_segments,
            n_tokens=rows.n_tokens,
            memory_bytes=rows.nbytes + record_bytes,
            stored_segments=n_stored,
            stored_bytes=stored_bytes,
            encoded_segments=self._counts.encoded,
            loaded_segments=self._counts.loaded,
            damaged_segments=self._store.n_damaged,
            store_problem=self._store_problem,
        )

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _pieces(self, header: str, text: str) -> list[Slice]:
        """How a file is cut; the store knows it of files that were remembered before."""
        file_id = self._encoder.identity(header, text)
        return self._kept(lambda store: self._cut(store, file_id, text))

    def _cut(self, store: SegmentStore, file_id: str, text: str) -> list[Slice]:
        pieces = store.pieces(file_id)
        if pieces is None:
            pieces = self._encoder.cut(text)
            store.put_pieces(file_id, pieces)
        return pieces

    def _take(self, header: str, text: str, taken: "_Taken") -> str:
        """The id of a segment; it is encoded if neither memory nor the store has it."""
        segment_id = self._encoder.identity(header, text)
        if segment_id in taken.segments:
            return segment_id
        if segment_id in self._memory:
            counts = _Counts(kept=1)
        else:
            taken.segments[segment_id], counts = self._stored(segment_id, header, text)
        if segment_id not in taken.counted:
            taken.counted.add(segment_id)
            taken.counts += counts
            self._counts += counts
        return segment_id

    def _stored(self, segment_id: str, header: str, text: str) -> tuple[StoredSegment, _Counts]:
        found = self._kept(lambda store: store.find(segment_id))
        if found is not None:
            return found, _Counts(loaded=1)
        segment = self._encoder.encode(header, text)
        return self._kept(lambda store: self._form.keep(store, segment)), _Counts(encoded=1)

    def _settle(self, header: str, parts: list[str], taken: "_Taken") -> list[str]:
        """The ids of all segments, which are in the records that memory reads from."""
        while True:
            self._kept(self._memory.follow)
            if taken.records is not self._store.records:  # a collection moved what was taken
                taken.records = self._store.records
                taken.segments.clear()
            ids = [self._take(header, part, taken) for part in parts]
            if taken.records is self._store.records is self._memory.rows.records:
                return ids

    def _make_room(self) -> None:
        if self._store.is_full:
            self._kept(lambda store: store.collect(self._memory.segment_ids))
            self._kept(self._memory.follow)

    def _stored_totals(self) -> tuple[int, int, int]:
        totals = self._kept(lambda store: store.totals())
        return totals if self._store.persists else (0, 0, 0)

    def _kept(self, use: Callable[[SegmentStore], T]) -> T:
        """What the store answers; where it fails, memory goes on in RAM, and that is asked.

        A full disk must not cost a suggestion.
        """
        try:
            return use(self._store)
        except StoreError as error:
            if not self._store.persists:
                raise
            self._report(error)
            self._store.close()
            self._store = self._loaded.store_in_ram()
            self._memory.follow(self._store)
            return use(self._store)

    def _report(self, problem: Exception) -> None:
        logger.warning("memory is no longer kept on disk: %s", problem)
        self._store_problem = str(problem)
