"""The engine: remember, forget, complete, status. The only door for callers.

Synchronous, and for one thread: whoever owns the engine owns every tensor. ``remember`` is a
generator, so that its owner can put a completion between any two segments.
"""

from collections.abc import Collection, Generator
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from longllama_code.definitions.fact_cache import FactCache
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import StoreError
from longllama_code.generation.completer import Completer
from longllama_code.generation.decoding.decoder import ShouldStop
from longllama_code.generation.decoding.stored_openings import KeptOpenings
from longllama_code.generation.models import LoadedModel, load_for_engine
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.warm_prompts import MAX_BYTES
from longllama_code.generation.segments import Counts, Segments
from longllama_code.memory.overlay import BaseMemory, OverlaidMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.encoder import path_header
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.storage.record_file import RecordStorage
from longllama_code.memory.storage.store import SegmentStore, StoredSegment
from longllama_code.paths import cache_root
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    OnProgress,
    RememberResult,
    ignore_progress,
)

LARGE_BYTES = 1 << 30
"""Weights of more make a pass longer than compiling."""
DEFINITIONS_FOLDER = "definitions"
"""In the cache folder: what files were found to define, for every model."""
OPENINGS_FOLDER = "openings"
"""In the same place: what was read of files before somebody asked."""
MODEL_NAME_FILE = "model"
"""In the folder of a store: whose it is, for people who look at their cache folder."""


@dataclass
class _Taken:
    """The segments of a file that is being remembered."""

    records: RecordStorage
    """What they are in."""
    segments: dict[str, StoredSegment] = field(default_factory=dict[str, StoredSegment])
    counts: Counts = field(default_factory=Counts)
    counted: set[str] = field(default_factory=set[str])


class Engine:
    """A model, the repository in its memory, and the store behind it."""

    def __init__(
        self,
        loaded: LoadedModel,
        store: SegmentStore | None,
        context_bytes: int = MAX_BYTES,
        folder: Path | None = None,
        facts: FactCache | None = None,
    ) -> None:
        """Begin with an empty memory.

        Args:
            loaded: the model.
            store: where encoded segments are kept; None keeps them in RAM.
            context_bytes: of what was read around cursors.
            folder: where what was read of definitions is kept; None: nowhere.
            facts: what files were found to define; None finds it out anew.
        """
        self._loaded = loaded
        self._segments = Segments(loaded, store)
        self._memory: RepositoryMemory = self._segments.open_memory()
        self._definitions = RepositoryDefinitions(loaded.tokenizer, facts)
        self._completer = Completer(
            loaded.compiled or loaded.model,
            loaded.tokenizer,
            self._memory,
            loaded.kernels,
            context_bytes,
            self._definitions,
            KeptOpenings(folder and folder / OPENINGS_FOLDER, loaded.model.config),
        )
        self._counts = Counts()

    @property
    def fingerprint(self) -> str:
        """Of the model: equal ones encode equal segments."""
        return self._loaded.fingerprint

    def beside(self) -> "Engine":
        """Another engine for another repository, over the same model and the same store.

        Both are for the one thread. ``leave`` takes it out again.
        """
        return self._over(self._segments.open_memory(), self._definitions.beside())

    def overlaid(self) -> "Engine":
        """An engine for one user's own files over this repository, which is complete.

        What it remembers, forgets and completes concerns nobody else. ``leave`` takes it out again.
        """
        assert isinstance(self._memory, BaseMemory), "an overlay has none of its own"
        memory = self._segments.open_overlay(self._memory)
        return self._over(memory, self._definitions.overlaid())

    def _over(self, memory: RepositoryMemory, definitions: RepositoryDefinitions) -> "Engine":
        other = copy(self)
        other._memory, other._definitions = memory, definitions
        other._completer = self._completer.beside(memory, definitions)
        other._counts = Counts()
        return other

    def leave(self) -> None:
        """Let go of the repository; those beside it go on."""
        self._completer.rest()
        self._segments.close_memory(self._memory)

    @classmethod
    def open(cls, options: EngineOptions) -> "Engine":
        """Load a model by name or folder, with its store in the cache folder.

        An unusable store, and layers that cannot be compiled, are reported by ``status``; the
        engine opens without them. ``options.threads`` sets torch's threads in this process.

        Raises:
            ModelNotFound: there is no such model here.
            CheckpointError: the model cannot be read, or not onto this device or in this type.
        """
        if options.threads:
            torch.set_num_threads(options.threads)
        loaded = load_for_engine(
            options.model,
            options.device,
            options.dtype,
            options.gpu_bytes,
            compile=options.compile,
        )
        warm_up(loaded)
        context_bytes = MAX_BYTES if options.context_bytes is None else options.context_bytes
        if not options.persist:
            return cls(loaded, None, context_bytes)
        try:
            cache = options.cache_dir or cache_root()
            folder = cache / "memory" / loaded.fingerprint
            store = loaded.store(folder, options.max_store_bytes)
            facts = FactCache(cache / DEFINITIONS_FOLDER)
            engine = cls(loaded, store, context_bytes, folder, facts)
            (folder / MODEL_NAME_FILE).write_text(loaded.name, "utf-8")
            return engine
        except (StoreError, OSError) as error:
            engine = cls(loaded, None, context_bytes)
            engine._segments.report(error)
            return engine

    def remember(self, path: str, text: str) -> Generator[None, None, RememberResult]:
        """Take a file, or its new version, into memory; yields after each segment.

        The former version stays until the new one is complete. Closing the generator early leaves
        the former in place.
        """
        header = path_header(path)
        pieces = self._segments.pieces(header, text)
        parts = [text[piece.start : piece.end] for piece in pieces]
        taken = _Taken(self._segments.records)
        for part in parts:
            self._take(header, part, taken)
            yield
        ids = self._settle(header, parts, taken)
        self._memory.replace(path, text, list(zip(ids, pieces, strict=True)), taken.segments)
        self._definitions.put(path, text)
        self._segments.make_room()
        n_tokens, counts = self._memory.n_tokens(path), taken.counts
        return RememberResult(path, n_tokens, len(ids), counts.encoded, counts.loaded, counts.kept)

    def forget(self, path: str) -> bool:
        """Take a file out of memory; False where it was not there. The store keeps its segments."""
        self._definitions.forget(path)
        return self._memory.forget(path)

    def restore(self, path: str) -> None:
        """See the base's version of a file again: for an engine that is laid over another."""
        assert isinstance(self._memory, OverlaidMemory), "there is no base"
        self._memory.restore(path)
        self._definitions.restore(path)

    def admit(self, segment_id: str, records: Tensor, page_offsets: Collection[int]) -> None:
        """Put a segment that was encoded elsewhere into the store: uint8 (n, bytes).

        Raises:
            StoreError: it is of another model.
        """
        self._segments.admit(segment_id, records, page_offsets)

    def know_pieces(self, path: str, text: str, pieces: list[Slice]) -> None:
        """Take note of how a file is cut, which somebody found out before."""
        self._segments.know_pieces(path_header(path), text, pieces)

    def lacks(self, segment_id: str) -> bool:
        """Whether a segment would have to be encoded."""
        return self._segments.lacks(segment_id)

    def complete(
        self,
        request: CompletionRequest,
        should_stop: ShouldStop,
        tell: OnProgress = ignore_progress,
    ) -> CompletionResult:
        """A suggestion at a cursor; ``tell`` is told its text as it grows.

        Raises:
            Cancelled: ``should_stop`` said so.
        """
        self._memory.rows.records.rebalance()
        return self._completer.complete(request, should_stop, tell)

    def prepare(self, request: CompletionRequest) -> Generator[None, None, int]:
        """Read what prompts of a file begin with before somebody asks; yields after each step.

        Args:
            request: the file and its text; where the cursor will be need not be known.

        Returns:
            how many tokens were read for it, now or before.
        """
        return self._completer.prepare(request)

    def status(self) -> EngineStatus:
        """What is in memory, and where it came from."""
        model, kernels, rows = self._loaded.model, self._loaded.kernels, self._memory.rows
        n_tokens = self._memory.n_seen_tokens
        n_stored, _, stored_bytes = self._segments.totals()
        record_bytes = n_tokens * rows.record_format.n_bytes
        return EngineStatus(
            model=self._loaded.name,
            device=str(model.device),
            dtype=kernels.kind if kernels else str(model.dtype).removeprefix("torch."),
            n_files=len(self._memory.files),
            n_segments=self._memory.n_segments,
            n_tokens=n_tokens,
            token_bytes=self._loaded.record_format.n_bytes,
            memory_bytes=rows.nbytes + record_bytes,
            stored_segments=n_stored,
            stored_bytes=stored_bytes,
            encoded_segments=self._counts.encoded,
            loaded_segments=self._counts.loaded,
            damaged_segments=self._segments.n_damaged,
            store_problem=self._segments.problem,
            compiled=self._loaded.compiled is not None,
            not_compiled=self._loaded.not_compiled,
        )

    def clear_store(self) -> int:
        """Remove every stored segment that no memory here holds; how many there were."""
        return self._segments.clear()

    def close(self) -> None:
        """Let go of the store."""
        self._segments.close()
        self._definitions.close()

    def _take(self, header: str, text: str, taken: "_Taken") -> str:
        """The id of a segment; it is encoded if neither memory nor the store has it."""
        segment_id = self._segments.identity(header, text)
        if segment_id in taken.segments:
            return segment_id
        if segment_id in self._memory:
            counts = Counts(kept=1)
        else:
            taken.segments[segment_id], counts = self._segments.get(segment_id, header, text)
        if segment_id not in taken.counted:
            taken.counted.add(segment_id)
            taken.counts += counts
            self._counts += counts
        return segment_id

    def _settle(self, header: str, parts: list[str], taken: "_Taken") -> list[str]:
        """The ids of all segments, which are in the records that memory reads from."""
        while True:
            self._segments.refresh(self._memory)
            if taken.records is not self._segments.records:  # a collection moved what was taken
                taken.records = self._segments.records
                taken.segments.clear()
            ids = [self._take(header, part, taken) for part in parts]
            if taken.records is self._segments.records is self._memory.rows.records:
                return ids


def warm_up(loaded: LoadedModel) -> None:
    """Complete once from a line of memory, where kernels do it: at first they are compiled.

    That takes seconds, once on a machine, for which no suggestion should wait. A pass of a large
    model takes as long, at every start, so that one does without.
    """
    if loaded.kernels is None or loaded.kernels.nbytes > LARGE_BYTES:
        return
    engine = Engine(loaded, None)
    for _ in engine.remember("a.py", "answer = 42\n"):
        pass
    request = CompletionRequest("b.py", "from a import ", "", max_tokens=2, timeout_ms=600_000)
    engine.complete(request, lambda: False)
    engine.close()
