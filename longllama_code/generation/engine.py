"""The engine, the interface of this package: remember, forget, complete, status.

It is synchronous and for one thread, which owns every tensor. ``remember`` is a generator, so that
a completion can run between two segments.
"""

from collections.abc import Collection, Generator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from longllama_code.checkpoints.ram import available_bytes
from longllama_code.definitions.fact_cache import FactCache
from longllama_code.engine_options import EngineOptions
from longllama_code.generation.completer import Completer
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.decoding.decoder import ShouldStop
from longllama_code.generation.decoding.stored_openings import KeptOpenings
from longllama_code.generation.definition_memory.kept_definitions import KeptDefinitions
from longllama_code.generation.engine_cache import MODEL_NAME_FILE, OPENINGS_FOLDER, EngineCache
from longllama_code.generation.file_encoder import FileEncoder
from longllama_code.generation.models import LoadedModel, load_for_engine
from longllama_code.generation.prompting.excerpt_sources import ExcerptSources
from longllama_code.generation.prompting.warm_prompts import MAX_BYTES, bytes_for
from longllama_code.generation.segments import Segments
from longllama_code.kernels.codegen.compiling import note_compiled, were_compiled
from longllama_code.memory.overlay import BaseMemory, OverlaidMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.protocol import (
    ClearedStore,
    CompletionRequest,
    CompletionResult,
    EncodedDefinitions,
    EngineStatus,
    OnProgress,
    RememberResult,
    ignore_progress,
)

LARGE_BYTES = 1 << 30
"""Bytes of weights above which a pass takes longer than compiling."""


class Engine:
    """A model, one repository in its memory, and the store behind it.

    ``open`` loads a model by name; ``create`` makes an engine of a loaded one.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        segments: Segments,
        model: CompletionModel,
        memory: RepositoryMemory,
        sources: ExcerptSources,
        facts: FactCache | None = None,
    ) -> None:
        self._loaded, self._segments, self._model = loaded, segments, model
        self._memory, self._sources, self._facts = memory, sources, facts
        self._completer = Completer(model, memory, sources)
        self._encoder = FileEncoder(segments, memory)

    @classmethod
    def create(
        cls,
        loaded: LoadedModel,
        store: SegmentStore | None,
        context_bytes: int = MAX_BYTES,
        folder: Path | None = None,
        facts: FactCache | None = None,
        definitions: KeptDefinitions | None = None,
    ) -> "Engine":
        """Return an engine with an empty memory.

        Args:
            loaded: the model.
            store: store of encoded segments; None keeps them in RAM.
            context_bytes: most bytes of keys and values of processed prompts.
            folder: folder of processed prompt prefixes; None keeps them in RAM.
            facts: cache of the definitions that files contain; None for none.
            definitions: definitions that are encoded; None keeps them in RAM.
        """
        segments = Segments(loaded, store)
        openings = KeptOpenings(folder and folder / OPENINGS_FOLDER, loaded.model.config)
        runs = loaded.compiled or loaded.model
        model = CompletionModel(
            runs, loaded.tokenizer, loaded.kernels, context_bytes, openings, definitions
        )
        memory = segments.open_memory()
        sources = ExcerptSources.create(loaded.tokenizer, memory, facts)
        return cls(loaded, segments, model, memory, sources, facts)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model; models with equal ones encode equal segments."""
        return self._loaded.fingerprint

    def fork(self) -> "Engine":
        """Return an engine for another repository, over the same model and the same store.

        Both are for the same thread. ``release`` frees its memory.
        """
        memory = self._segments.open_memory()
        return self._with(memory, self._sources.fork(memory))

    def overlay(self) -> "Engine":
        """Return an engine for one user's own files over this repository.

        Its files are visible to nobody else, and this repository's files no longer change.
        ``release`` frees its memory.
        """
        assert isinstance(self._memory, BaseMemory), "an overlay has no overlays"
        memory = self._segments.open_overlay(self._memory)
        return self._with(memory, self._sources.overlay(memory))

    def _with(self, memory: RepositoryMemory, sources: ExcerptSources) -> "Engine":
        return Engine(self._loaded, self._segments, self._model, memory, sources, self._facts)

    def release(self) -> None:
        """Free the repository's memory and prompts; other engines over the model continue."""
        self._completer.release_cache()
        self._segments.close_memory(self._memory)

    @classmethod
    def open(cls, options: EngineOptions) -> "Engine":
        """Load a model by name or folder, with its store in the cache folder.

        An unusable store, and layers that cannot be compiled, are reported by ``status``; the
        engine opens without them. ``options.threads`` sets torch's threads in this process.
        Kernels that no engine compiled before are compiled here, which takes seconds.

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
        if not were_compiled(loaded.fingerprint):
            warm_up(loaded)
        context_bytes = options.context_bytes
        if context_bytes is None:
            context_bytes = bytes_for(available_bytes())
        if not options.persist:
            return cls.create(loaded, None, context_bytes)
        try:
            kept = EngineCache.open(loaded, options)
            engine = cls.create(
                loaded, kept.store, context_bytes, kept.folder, kept.facts, kept.definitions
            )
            (kept.folder / MODEL_NAME_FILE).write_text(loaded.name, "utf-8")
            if kept.store.notice:
                engine._segments.problem = kept.store.notice
            return engine
        except Exception as error:  # whatever it is, the engine does without a store
            engine = cls.create(loaded, None, context_bytes)
            engine._segments.report(error)
            return engine

    def warm_up(self) -> None:
        """Complete once, so that the first request need not load what was compiled."""
        warm_up(self._loaded)

    def remember(
        self, path: str, text: str, folder: str = ""
    ) -> Generator[None, None, RememberResult]:
        """Take a file, or its new version, into memory; yields after each segment.

        The former version stays until the new one is complete, also if the generator is closed
        before its end.

        Args:
            path: name of the file.
            text: its text.
            folder: beginning of the name that tells workspace folders apart. Segments are those of
                the rest of it, so that a folder's are the same whatever others are open beside it.
        """
        header = path_header(path.removeprefix(folder))
        file = yield from self._encoder.encode(header, text)
        self._memory.replace(path, text, file.placed, file.fresh)
        self._sources.put(path, text)
        self._segments.make_room()
        n_tokens, counts = self._memory.n_tokens(path), file.counts
        return RememberResult(
            path, n_tokens, len(file.placed), counts.encoded, counts.loaded, counts.kept
        )

    def define(self, texts: Mapping[str, str]) -> Generator[None, None, None]:
        """Take in what files define before they are remembered; yields after each file.

        A file that is not remembered afterwards has to be forgotten all the same.

        Args:
            texts: path → text of each file.
        """
        for path, text in texts.items():
            self._sources.definitions.put(path, text)
            yield

    def forget(self, path: str) -> bool:
        """Take a file out of memory, but not out of the store; False if it was not there."""
        self._sources.forget(path)
        return self._memory.forget(path)

    def forget_all(self) -> None:
        """Take every file out of memory, but not out of the store."""
        for path in list(self._memory.files):
            self.forget(path)

    def restore(self, path: str) -> None:
        """Show the base's version of a file again; only an overlay has one."""
        assert isinstance(self._memory, OverlaidMemory), "only an overlay restores files"
        self._memory.restore(path)
        self._sources.restore(path)

    def admit(self, segment_id: str, records: Tensor, page_offsets: Collection[int]) -> None:
        """Store the records, uint8 (n, bytes), of a segment that was encoded elsewhere.

        Raises:
            StoreError: the segment is of another model.
        """
        self._segments.admit(segment_id, records, page_offsets)

    def know_pieces(self, path: str, text: str, pieces: list[Slice]) -> None:
        """Store how a file is cut, which was found out elsewhere."""
        self._segments.know_pieces(path_header(path), text, pieces)

    def lacks(self, segment_id: str) -> bool:
        """Whether a segment would have to be encoded."""
        return self._segments.lacks(segment_id)

    def complete(
        self,
        request: CompletionRequest,
        should_stop: ShouldStop,
        on_progress: OnProgress = ignore_progress,
    ) -> CompletionResult:
        """Return a suggestion at a cursor; call ``on_progress`` with its text as it grows.

        Raises:
            Cancelled: ``should_stop`` returned true.
        """
        self._memory.rows.records.rebalance()
        return self._completer.complete(request, should_stop, on_progress)

    def prepare(self, request: CompletionRequest) -> Generator[None, None, int]:
        """Process the beginning of a file's prompts before a request; yields after each step.

        Args:
            request: the file and its text, with the cursor anywhere.

        Returns:
            Number of tokens that are processed, now or before.
        """
        return self._completer.prepare(request)

    def encode_definitions(self) -> Generator[None, None, EncodedDefinitions]:
        """Encode some of the repository's definitions, if requests want them as memory.

        Yields between steps of a few tokens.
        """
        return self._completer.encode_definitions()

    def status(self) -> EngineStatus:
        """Return what is in memory and in the store, with counts since the start."""
        model, kernels, rows = self._loaded.model, self._loaded.kernels, self._memory.rows
        n_tokens = self._memory.n_seen_tokens
        n_stored, _, stored_bytes = self._segments.totals()
        record_bytes = n_tokens * rows.record_format.n_bytes
        definitions = self._model.definitions
        n_definitions, definition_bytes = definitions.kept.totals() if definitions else (0, 0)
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
            encoded_definitions=n_definitions,
            definition_bytes=definition_bytes,
            files_to_encode=self._completer.n_files_to_encode,
            encoded_segments=self._encoder.counts.encoded,
            loaded_segments=self._encoder.counts.loaded,
            damaged_segments=self._segments.n_damaged,
            store_problem=self._segments.problem or (definitions and definitions.kept.problem),
            compiled=self._loaded.compiled is not None,
            not_compiled=self._loaded.not_compiled,
            prompt_threads=kernels.threads.n_threads if kernels else 0,
            decoding_threads=kernels.decoding_threads.n_threads if kernels else 0,
            context_bytes=self._model.readings.nbytes,
        )

    def clear_store(self) -> ClearedStore:
        """Remove from disk every segment that no memory uses, all prompts and all facts."""
        _, _, before = self._segments.totals()
        n_segments = self._segments.clear()
        _, _, kept = self._segments.totals()
        n_bytes = before - kept + self._model.openings.clear()
        n_bytes += 0 if self._facts is None else self._facts.clear()
        if (definitions := self._model.definitions) is not None:
            n_bytes += definitions.kept.clear()
        return ClearedStore(n_segments, n_bytes, kept)

    def close(self) -> None:
        """Close the store, for this engine and all its forks."""
        self._segments.close()
        self._sources.close()
        if self._model.definitions is not None:
            self._model.definitions.kept.close()


def warm_up(loaded: LoadedModel) -> None:
    """Complete once, so that the kernels are compiled before the first request.

    Compiling takes seconds, once on a machine. A pass of a large model takes as long at every
    start, so a large model is not warmed up.
    """
    if loaded.kernels is None or loaded.kernels.nbytes > LARGE_BYTES:
        return
    engine = Engine.create(loaded, None)
    for _ in engine.remember("a.py", "answer = 42\n"):
        pass
    request = CompletionRequest("b.py", "from a import ", "", max_tokens=2, timeout_ms=600_000)
    engine.complete(request, lambda: False)
    engine.close()
    note_compiled(loaded.fingerprint)
