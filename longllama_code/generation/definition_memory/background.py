"""Encoding of a repository's definitions in advance: what open files use, then the nearest files.

Nothing is encoded before a request asks for definitions as memory, and nothing that would displace
what is stored (``KeptDefinitions.has_room``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from itertools import chain
from typing import Protocol

from longllama_code.definitions.layout import path_distance
from longllama_code.generation.definition_memory.memory import DefinitionMemory
from longllama_code.generation.prompting.prepared_prompt import Excerpts, Wanted
from longllama_code.protocol import CompletionRequest, EncodedDefinitions


class Pieces(Protocol):
    """Pieces of a repository's files; see ``prompting/piece_excerpts.py``."""

    def of(self, path: str) -> Excerpts:
        """Return all pieces of a file."""
        ...

    def version(self, path: str) -> int | None:
        """Return what changes with a file's text; None if there is no such file."""
        ...

    def used_anywhere(self, path: str, text: str) -> Excerpts:
        """Return the pieces that a file uses, best first."""
        ...

    def wanted(
        self, path: str, prefix: str, suffix: str, n_tokens: int, shown: Excerpts = ()
    ) -> Wanted:
        """Return the pieces that a cursor needs."""
        ...


class DefinitionEncoding:
    """Encoder of one repository's definitions, a file at a time.

    Args:
        memory: where encoded definitions are kept.
        pieces: pieces of the files.
        paths: returns the paths of the repository's files.
    """

    def __init__(
        self, memory: DefinitionMemory, pieces: Pieces, paths: Callable[[], Collection[str]]
    ) -> None:
        self._memory, self._pieces, self._paths = memory, pieces, paths
        self._request: CompletionRequest | None = None
        self._is_used_encoded = False
        self._encoded: dict[str, int | None] = {}
        """Version of each file whose pieces are encoded."""

    def note(self, request: CompletionRequest) -> None:
        """Note a request: what its file uses comes first, then the files near it."""
        if self._request is None or self._request.repository != request.repository:
            self._encoded.clear()
        self._request, self._is_used_encoded = request, False

    @property
    def n_waiting(self) -> int:
        """Number of files whose pieces are not encoded so far; 0 before any request."""
        return len(self._waiting()) if self._request is not None else 0

    def step(self) -> Generator[None, None, EncodedDefinitions]:
        """Encode what the last request's file uses, or the pieces of the nearest file.

        Yields between steps of a few tokens. If there is no room for more, nothing is left.
        """
        request = self._request
        if request is None or not self._memory.kept.has_room:
            return EncodedDefinitions()
        if not self._is_used_encoded:
            n_encoded = yield from self._encode_all(request, self._used(request))
            self._is_used_encoded = self._request is request
            return EncodedDefinitions(n_encoded, 1 + self.n_waiting)
        waiting = self._waiting()
        if not waiting:
            return EncodedDefinitions()
        path = min(waiting, key=lambda each: (path_distance(request.path, each), each))
        version = self._pieces.version(path)
        n_encoded = yield from self._encode_all(request, self._pieces.of(path))
        if self._request is not None and self._request.repository == request.repository:
            self._encoded[path] = version
        return EncodedDefinitions(n_encoded, len(waiting) - 1)

    def _used(self, request: CompletionRequest) -> Excerpts:
        """Return what a request's cursor needs, then what its file uses anywhere."""
        path, prefix, suffix = request.path, request.prefix, request.suffix
        wanted = self._pieces.wanted(path, prefix, suffix, request.definition_tokens).excerpts
        used = self._pieces.used_anywhere(path, prefix + suffix)
        return tuple(chain(reversed(wanted), used))

    def _encode_all(
        self, request: CompletionRequest, excerpts: Excerpts
    ) -> Generator[None, None, int]:
        """Encode what is not encoded so far; return how many excerpts that were."""
        n_encoded = 0
        for excerpt in excerpts:
            if self._memory.lacks(request.repository, excerpt):
                yield from self._memory.encode(request.repository, excerpt)
                n_encoded += 1
            yield
        return n_encoded

    def _waiting(self) -> list[str]:
        return [
            path
            for path in self._paths()
            if path not in self._encoded or self._encoded[path] != self._pieces.version(path)
        ]
