"""The engine: remember, forget, complete, status. The only door for callers.

Synchronous, and for one thread: whoever owns the engine owns every tensor. ``remember`` is a
generator, so that its owner can put a completion between any two segments.
"""

import logging
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from longllama_code.catalog import cache_root
from longllama_code.errors import StoreError
from longllama_code.generation.completer import Completer
from longllama_code.generation.decode import ShouldStop
from longllama_code.generation.models import LoadedModel, load
from longllama_code.memory.encoder import SegmentEncoder, path_header
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segment import EncodedSegment
from longllama_code.memory.store import SegmentStore
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    RememberResult,
)

logger = logging.getLogger(__name__)


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


class Engine:
    """A model, the repository in its memory, and the store behind it."""

    def __init__(self, loaded: LoadedModel, store: SegmentStore | None) -> None:
        model = loaded.model
        self._loaded = loaded
        self._store = store
        self._store_problem = None if store else "persistence is off"
        self._memory = RepositoryMemory(model.config, model.dtype, model.device)
        self._encoder = SegmentEncoder(model, loaded.tokenizer, loaded.fingerprint, loaded.limits)
        self._completer = Completer(model, loaded.tokenizer, self._memory)
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
        loaded = load(model)
        if not persist:
            return cls(loaded, None)
        try:
            folder = (cache_dir or cache_root()) / "memory" / loaded.fingerprint
            return cls(loaded, SegmentStore(folder, max_store_bytes))
        except (StoreError, OSError) as error:
            engine = cls(loaded, None)
            engine._lose_store(error)
            return engine

    def remember(self, path: str, text: str) -> Generator[None, None, RememberResult]:
        """Take a file, or its new version, into memory; yields after each segment.

        The former version stays until the new one is complete. Closing the generator early leaves
        the former in place.
        """
        header, counts = path_header(path), _Counts()
        pieces = self._encoder.cut(text)
        fresh: dict[str, EncodedSegment] = {}
        for piece in pieces:
            counts += self._take(header, text[piece.start : piece.end], fresh)[1]
            yield
        # Once more: between two yields, a segment that was in memory may have been forgotten.
        ids = [self._take(header, text[piece.start : piece.end], fresh)[0] for piece in pieces]
        self._memory.replace(path, text, list(zip(ids, pieces, strict=True)), fresh)
        n_tokens = self._memory.n_tokens(path)
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
        return EngineStatus(
            model=self._loaded.name,
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            n_files=len(self._memory.files),
            n_segments=self._memory.n_segments,
            n_tokens=rows.n_tokens,
            memory_bytes=rows.nbytes,
            stored_segments=n_stored,
            stored_bytes=stored_bytes,
            encoded_segments=self._counts.encoded,
            loaded_segments=self._counts.loaded,
            damaged_segments=self._store.n_damaged if self._store else 0,
            store_problem=self._store_problem,
        )

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    def _take(
        self, header: str, text: str, fresh: dict[str, EncodedSegment]
    ) -> tuple[str, _Counts]:
        """The id of a segment; what memory does not hold yet is added to ``fresh``."""
        segment_id = self._encoder.identity(header, text)
        if segment_id in self._memory or segment_id in fresh:
            return segment_id, _Counts(kept=1)
        segment = self._stored(segment_id)
        came = _Counts(loaded=1)
        if segment is None:
            segment, came = self._encoder.encode(header, text), _Counts(encoded=1)
            self._keep(segment)
        fresh[segment_id] = segment
        self._counts += came
        return segment_id, came

    def _stored_totals(self) -> tuple[int, int, int]:
        try:
            return self._store.totals() if self._store else (0, 0, 0)
        except StoreError as error:
            self._lose_store(error)
            return 0, 0, 0

    def _stored(self, segment_id: str) -> EncodedSegment | None:
        try:
            return self._store.get(segment_id) if self._store else None
        except StoreError as error:
            return self._lose_store(error)

    def _keep(self, segment: EncodedSegment) -> None:
        try:
            if self._store is not None:
                self._store.put(segment)
        except StoreError as error:
            self._lose_store(error)

    def _lose_store(self, error: Exception) -> None:
        """Go on in RAM: a full disk must not cost a suggestion."""
        logger.warning("memory is no longer kept on disk: %s", error)
        self.close()
        self._store, self._store_problem = None, str(error)
