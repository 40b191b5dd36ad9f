"""All sources of excerpts of one repository, which is told once of each file."""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.definitions.fact_cache import FactCache
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.excerpt_source import ExcerptSource
from longllama_code.generation.prompting.piece_excerpts import DefinitionPieces
from longllama_code.generation.prompting.similar_excerpts import SimilarChunks
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.protocol import RepositoryContext
from longllama_code.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class ExcerptSources:
    """Definitions of a repository, alone and in pieces, and its chunks."""

    definitions: RepositoryDefinitions
    similar: SimilarChunks
    pieces: DefinitionPieces

    @classmethod
    def create(
        cls, tokenizer: Tokenizer, memory: RepositoryMemory, facts: FactCache | None = None
    ) -> ExcerptSources:
        """Return the sources of an empty repository.

        Args:
            tokenizer: the model's.
            memory: files of the repository.
            facts: cache on disk of the definitions that files contain; None for none.
        """
        return cls._of(RepositoryDefinitions(tokenizer, facts), SimilarChunks(tokenizer, memory))

    @classmethod
    def _of(cls, definitions: RepositoryDefinitions, similar: SimilarChunks) -> ExcerptSources:
        return cls(definitions, similar, DefinitionPieces(definitions))

    def fork(self, memory: RepositoryMemory) -> ExcerptSources:
        """Return the sources of another repository, which is empty."""
        return self._of(self.definitions.fork(), self.similar.fork(memory))

    def overlay(self, memory: RepositoryMemory) -> ExcerptSources:
        """Return the sources of a user whose own files replace some of these."""
        return self._of(self.definitions.overlay(), self.similar.overlay(memory))

    def named(self, name: RepositoryContext) -> ExcerptSource:
        """Return the source that a request names."""
        by_name = {"similar": self.similar, "memory": self.pieces}
        return by_name.get(name, self.definitions)

    @property
    def every(self) -> tuple[ExcerptSource, ...]:
        """All sources."""
        return self.definitions, self.similar, self.pieces

    def put(self, path: str, text: str) -> None:
        """Take in a file, or its new version."""
        for source in self.every:
            source.put(path, text)

    def forget(self, path: str) -> None:
        """Take out a file."""
        for source in self.every:
            source.forget(path)

    def restore(self, path: str) -> None:
        """Show the base's version of a file again that a user's own file replaced."""
        for source in self.every:
            source.restore(path)

    def close(self) -> None:
        """Write and close the cache of definitions."""
        self.definitions.close()
