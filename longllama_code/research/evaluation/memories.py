"""Repository memories for experiments: trees are encoded once and combined freely."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from longllama_code.generation.models import LoadedModel
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.segments.segment import EncodedSegment
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.shared_segments import SharedSegments
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.paths import cache_root


@dataclass(frozen=True)
class EncodedFile:
    """A file with its encoded segments."""

    path: str
    text: str
    pieces: tuple[Slice, ...]
    segments: tuple[EncodedSegment, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens of its segments."""
        return sum(segment.n_tokens for segment in self.segments)


class Encoder(Protocol):
    """Interface of ``SegmentEncoder`` and its variants."""

    def cut(self, text: str) -> list[Slice]:
        """Return the segments of a file."""
        ...

    def encode(self, header: str, text: str) -> EncodedSegment:
        """Encode one segment; ``header`` is the line that names its file."""
        ...


def encode_files(
    loaded: LoadedModel,
    texts: Mapping[str, str],
    max_tokens: int | None = None,
    encoder: Encoder | None = None,
) -> list[EncodedFile]:
    """Encode files in the order given, until their text has ``max_tokens``.

    Args:
        loaded: the model.
        texts: the files.
        max_tokens: when to stop, counted in text alone: the files are the same, however encoded.
        encoder: of another way to encode than the product's.
    """
    encoder = encoder or _CachingEncoder(loaded)
    files: list[EncodedFile] = []
    n_tokens = 0
    for path, text in texts.items():
        if max_tokens is not None and n_tokens >= max_tokens:
            break
        files.append(_encode(encoder, path, text))
        parts = [text[piece.start : piece.end] for piece in files[-1].pieces]
        n_tokens += sum(len(loaded.tokenizer.encode(part)) for part in parts)
    return files


def with_segment_cache(loaded: LoadedModel) -> LoadedModel:
    """Return a model that stores encoded segments in the cache folder and reuses them.

    Raises:
        StoreError: the folder cannot be written.
    """
    name = hashlib.blake2b(loaded.fingerprint.encode(), digest_size=8).hexdigest()
    n_bytes = RecordFormat.plain(loaded.model.config).n_bytes
    return replace(loaded, kept=SegmentStore(cache_root() / "evaluation" / name, n_bytes))


def memory_of(loaded: LoadedModel, *trees: list[EncodedFile]) -> RepositoryMemory:
    """Return one memory that holds all the files of some trees."""
    memory = SegmentMemory(loaded)
    for number, file in _numbered(trees):
        path = file.path if number == 0 else f"{number}/{file.path}"
        memory.take(path, file.text, file.pieces, file.segments)
    return memory


class SegmentMemory(RepositoryMemory):
    """Repository memory in RAM, of segments that were encoded before."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._store, self._form = loaded.store(None), loaded.record_format
        super().__init__(loaded.model.config, SharedSegments(self._form, self._store))

    def take(
        self, path: str, text: str, pieces: Sequence[Slice], segments: Sequence[EncodedSegment]
    ) -> None:
        """Put a file in place of its former version."""
        fresh = {
            segment.id: self._store.find(segment.id) or self._form.store(self._store, segment)
            for segment in segments
        }
        placed = [(segment.id, piece) for segment, piece in zip(segments, pieces, strict=True)]
        self.replace(path, text, placed, fresh)


class _CachingEncoder(Encoder):
    """The server's encoder with a cache of segments from earlier evaluations."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._encoder, self._store = loaded.encoder(), loaded.kept
        self._form = RecordFormat.plain(loaded.model.config)

    def cut(self, text: str) -> list[Slice]:
        return self._encoder.cut(text)

    def encode(self, header: str, text: str) -> EncodedSegment:
        if self._store is None:
            return self._encoder.encode(header, text)
        found = self._store.find(self._encoder.identity(header, text))
        if found is None:
            segment = self._encoder.encode(header, text)
            self._form.store(self._store, segment)
            return segment
        return self._form.unpack(found.id, self._store.content(found), found.page_offsets)


def _encode(encoder: Encoder, path: str, text: str) -> EncodedFile:
    header, pieces = path_header(path), encoder.cut(text)
    segments = [encoder.encode(header, text[piece.start : piece.end]) for piece in pieces]
    return EncodedFile(path, text, tuple(pieces), tuple(segments))


def _numbered(trees: tuple[list[EncodedFile], ...]) -> Iterator[tuple[int, EncodedFile]]:
    """Yield files with the number of their tree, to distinguish equal paths of two trees."""
    for number, tree in enumerate(trees):
        for file in tree:
            yield number, file
