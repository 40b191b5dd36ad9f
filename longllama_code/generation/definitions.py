"""The definitions of a repository, as excerpts of its files that a model is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from longllama_code.definitions.choice import choose
from longllama_code.definitions.fitting import fit
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.kept import KeptFacts
from longllama_code.generation.prompt import Excerpt
from longllama_code.generation.reading import Wanted
from longllama_code.protocol import ShownDefinition
from longllama_code.tokenizer import Tokenizer

MAX_COUNTED = 100_000
"""Lines of definitions whose tokens are known."""
NEEDED_SHARE = 0.5
"""Of the tokens: so much of what is wanted most must be shown. The rest changes with every name
that is used; to read it anew each time would cost more than it is worth."""


class RepositoryDefinitions:
    """What one repository defines, and what of it a cursor is shown.

    Args:
        tokenizer: the model's.
        kept: what earlier texts said, on disk; None keeps nothing.
        index: the repository's files; None: none so far.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        kept: KeptFacts | None = None,
        index: DefinitionIndex | None = None,
    ) -> None:
        self._tokenizer, self._kept = tokenizer, kept
        self._index = DefinitionIndex(kept) if index is None else index
        self._count = lru_cache(MAX_COUNTED)(self._n_tokens)

    def _n_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text))

    def beside(self) -> RepositoryDefinitions:
        """Return those of another repository."""
        return RepositoryDefinitions(self._tokenizer, self._kept)

    def overlaid(self) -> RepositoryDefinitions:
        """Return these as somebody has them who puts files of their own in place of some."""
        index = DefinitionIndex.over(self._index)
        return RepositoryDefinitions(self._tokenizer, self._kept, index)

    def close(self) -> None:
        """Write what is to be kept, and let go of it."""
        if self._kept is not None:
            self._kept.close()

    def put(self, path: str, text: str) -> None:
        """Take in a file, or its new version."""
        self._index.put(path, text)

    def forget(self, path: str) -> None:
        """Take out a file."""
        self._index.forget(path)

    def restore(self, path: str) -> None:
        """See again what a file of somebody's own stood in place of."""
        self._index.restore(path)

    def wanted(self, path: str, prefix: str, suffix: str, n_tokens: int) -> Wanted:
        """Return what a cursor should be shown of other files, within so many tokens."""
        chosen = choose(self._index, path, prefix, suffix)
        excerpts = tuple(
            Excerpt(block.path, block.text, block.chosen)
            for block in fit(chosen, self._count, n_tokens)
        )
        most = fit(chosen, self._count, int(NEEDED_SHARE * n_tokens))
        return Wanted(excerpts, frozenset(each.key for block in most for each in block.chosen))

    def still_hold(self, excerpt: Excerpt) -> bool:
        """Whether its file says what an excerpt says."""
        file = self._index.file(excerpt.path)
        said = set() if file is None else {each.shown for each in file.facts.definitions}
        return said.issuperset(each.shown for each in excerpt.chosen)

    def described(self, excerpts: Sequence[Excerpt], text: str) -> list[ShownDefinition]:
        """Return what a model was shown, for people; ``text`` is what it wrote then."""
        names = set(re.findall(r"\w+", text))
        return [
            ShownDefinition(
                each.path,
                each.name,
                each.line,
                each.last_line,
                each.reason,
                self._count(each.shown + "\n"),
                each.name.rpartition(".")[2] in names,
            )
            for excerpt in excerpts
            for each in excerpt.chosen
        ]
