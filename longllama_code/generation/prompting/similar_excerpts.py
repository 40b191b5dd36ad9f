"""Chunks of other files that are similar to the text before a cursor, as excerpts for prompts.

The chunks of ten lines with the best BM25 scores are shown, the best one nearest to the cursor.
This is the retrieval that published benchmarks of repositories use (CrossCodeEval, arXiv
2310.11248). They show the chunk behind the one that was found; here that one itself is shown
(decision 44).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longllama_code.generation.prompting.excerpt_source import (
    best_fitting,
    describe,
    token_counter,
    wanted_of,
)
from longllama_code.generation.prompting.prepared_prompt import Excerpts, Key, Wanted
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.memory.repository import RememberedFile, RepositoryMemory
from longllama_code.protocol import ShownDefinition
from longllama_code.similar_code.bm25 import ChunkIndex
from longllama_code.similar_code.chunks import Chunk, query_of
from longllama_code.tokenizers.tokenizer import Tokenizer

MAX_TRIED = 50
"""Most chunks that are tried for the tokens of a prompt."""
REASON = "similar to the text before the cursor"


@dataclass(frozen=True)
class SimilarChunk:
    """A chunk that was chosen for a cursor."""

    path: str
    shown: str
    """Its lines that are not blank."""
    line: int
    last_line: int
    reason: str = REASON

    @classmethod
    def of(cls, chunk: Chunk) -> SimilarChunk:
        """Return a chunk of the index as one that was chosen."""
        return cls(chunk.path, chunk.text, chunk.line, chunk.last_line)

    @property
    def name(self) -> str:
        """Its lines, since nothing else names it."""
        return f"lines {self.line}-{self.last_line}"

    @property
    def key(self) -> Key:
        """Identity of the chunk, wherever its lines stand."""
        return self.path, "", self.shown


class SimilarChunks:
    """Chunks of one repository, and the choice of those that a prompt shows.

    Their index is built from the files in memory when it is needed for the first time (1.3 s for a
    million tokens), and updated file by file from then on; before that, there is none.

    Args:
        tokenizer: the model's.
        memory: files of the repository.
        base: chunks of the repository that a user's files stand over; None for none.
    """

    def __init__(
        self, tokenizer: Tokenizer, memory: RepositoryMemory, base: SimilarChunks | None = None
    ) -> None:
        self._tokenizer, self._memory, self._base = tokenizer, memory, base
        self._count = token_counter(tokenizer)
        self._built: ChunkIndex | None = None

    def fork(self, memory: RepositoryMemory) -> SimilarChunks:
        """Return the chunks of another repository, with the same tokenizer."""
        return SimilarChunks(self._tokenizer, memory)

    def overlay(self, memory: RepositoryMemory) -> SimilarChunks:
        """Return chunks of a user over these, whose own files replace some of them."""
        return SimilarChunks(self._tokenizer, memory, self)

    def _index(self) -> ChunkIndex:
        """Return the index, which is built now if there is none."""
        if self._built is None:
            self._built = self._build()
        return self._built

    def _build(self) -> ChunkIndex:
        files = self._memory.files
        base: Mapping[str, RememberedFile] = {}
        if self._base is not None:
            base = self._base._memory.files
        index = ChunkIndex(None if self._base is None else self._base._index())
        for path in base.keys() - files.keys():
            index.forget(path)
        for path, file in files.items():
            if base.get(path) is not file:
                index.put(path, file.text)
        return index

    def put(self, path: str, text: str) -> None:
        """Take in a file, or its new version."""
        if self._built is not None:
            self._built.put(path, text)

    def forget(self, path: str) -> None:
        """Take out a file."""
        if self._built is not None:
            self._built.forget(path)

    def restore(self, path: str) -> None:
        """Show the base's version of a file again that a user's own file replaced."""
        if self._built is not None:
            self._built.restore(path)

    def used_by(self, path: str, text: str, n_tokens: int) -> Wanted:
        """Return nothing: chunks depend on the cursor. The index is built, if there is none."""
        self._index()
        return Wanted()

    def wanted(
        self, path: str, prefix: str, suffix: str, n_tokens: int, shown: Excerpts = ()
    ) -> Wanted:
        """Return what a cursor should be shown of other files; the suffix has no influence."""
        found = [chunk for chunk, _ in self._index().search(query_of(prefix), path, MAX_TRIED)]
        best = {chunk.text: chunk for chunk in reversed(found)}
        # The same lines in several files are shown once.
        chosen = [SimilarChunk.of(chunk) for chunk in found if best[chunk.text] is chunk]
        return wanted_of(chosen, shown, n_tokens, self._count, self._fitting)

    def _fitting(self, chosen: Sequence[SimilarChunk], n_tokens: int) -> Excerpts:
        excerpts = (Excerpt(each.path, each.shown, (each,)) for each in chosen)
        return best_fitting(excerpts, n_tokens, self._count)

    def still_hold(self, excerpt: Excerpt) -> bool:
        """Whether the lines of an excerpt still stand in its file, anywhere."""
        text = "\n".join(chunk.text for chunk in self._index().chunks(excerpt.path))
        return f"\n{excerpt.text}\n" in f"\n{text}\n"

    def described(self, excerpts: Sequence[Excerpt], text: str) -> list[ShownDefinition]:
        """Describe the chunks in excerpts; no suggestion names a chunk."""
        return describe(excerpts, text, self._count)
