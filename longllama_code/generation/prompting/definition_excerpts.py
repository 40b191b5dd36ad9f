"""The definitions of a repository, as excerpts of its files that a model is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from longllama_code.definitions.choice import Chosen, choose, choose_for_file
from longllama_code.definitions.fact_cache import FactCache
from longllama_code.definitions.fitting import fit
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.generation.prompting.prepared_prompt import Excerpts, Wanted, keys_of
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.protocol import ShownDefinition
from longllama_code.tokenizers.tokenizer import Tokenizer

MAX_COUNTED = 100_000
"""Lines of definitions whose tokens are known."""
FILE_SHARE = 1 / 3
"""Of the tokens: what a file uses anywhere may take so much; the rest is left to its cursors. With
half of them, names that a cursor needs for the first time are crowded out in languages where
packages are imported as a whole (Go, 768 tokens: 0.88 of them are shown, 0.90 with a third, 0.94
with none), and a Python file's cursors have as few tokens to read (171, 233, 425)."""
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
        kept: FactCache | None = None,
        index: DefinitionIndex | None = None,
    ) -> None:
        self._tokenizer, self._kept = tokenizer, kept
        self._index = DefinitionIndex(kept) if index is None else index
        self._count = lru_cache(MAX_COUNTED)(self._n_tokens)

    def _n_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text))

    def fork(self) -> RepositoryDefinitions:
        """Return empty definitions of another repository, with the same tokenizer and cache."""
        return RepositoryDefinitions(self._tokenizer, self._kept)

    def overlay(self) -> RepositoryDefinitions:
        """Return definitions of a user over these, whose own files replace some of them."""
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

    def used_by(self, path: str, text: str, n_tokens: int) -> Wanted:
        """Return what all prompts of a file should show, within a share of so many tokens."""
        chosen = choose_for_file(self._index, path, text)
        n_file_tokens = int(FILE_SHARE * n_tokens)
        excerpts = self._fitting(chosen, n_file_tokens)
        most = self._fitting(chosen, int(NEEDED_SHARE * n_file_tokens))
        return Wanted(excerpts, keys_of(most) & keys_of(excerpts))

    def wanted(
        self, path: str, prefix: str, suffix: str, n_tokens: int, shown: Excerpts = ()
    ) -> Wanted:
        """Return what a cursor should be shown of other files.

        Args:
            path: the cursor's file.
            prefix: its text before the cursor.
            suffix: its text after it.
            n_tokens: of everything that is shown, paths included.
            shown: what is shown in any case.
        """
        chosen = choose(self._index, path, prefix, suffix)
        known = keys_of(shown)
        others = [each for each in chosen if each.key not in known]
        n_left = n_tokens - sum(map(self._n_tokens_of, shown))
        excerpts = self._fitting(others, n_left)
        most = self._fitting(chosen, int(NEEDED_SHARE * n_tokens))
        needed = keys_of(most) & (known | keys_of(excerpts))
        return Wanted(excerpts, needed, {each.key: each for each in chosen})

    def _fitting(self, chosen: Sequence[Chosen], n_tokens: int) -> Excerpts:
        """Return as many definitions as fit, the most wanted file last."""
        blocks = fit(chosen, self._count, n_tokens)
        return tuple(Excerpt(block.path, block.text, block.chosen) for block in blocks)

    def _n_tokens_of(self, excerpt: Excerpt) -> int:
        """Return how many tokens an excerpt and its path have, counted by lines."""
        lines = [excerpt.path, *excerpt.text.split("\n")]
        return 1 + sum(self._count(f"{line}\n") for line in lines)

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
