"""Definitions of a repository, as excerpts of its files for prompts."""

from __future__ import annotations

from collections.abc import Sequence

from longllama_code.definitions.choice import choose, choose_for_file
from longllama_code.definitions.chosen import Chosen
from longllama_code.definitions.fact_cache import FactCache
from longllama_code.definitions.fitting import fit
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.generation.prompting.excerpt_source import (
    NEEDED_SHARE,
    describe,
    token_counter,
    wanted_of,
)
from longllama_code.generation.prompting.prepared_prompt import Excerpts, Wanted, keys_of
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.protocol import ShownDefinition
from longllama_code.tokenizers.tokenizer import Tokenizer

FILE_SHARE = 1 / 3
"""Share of the tokens for what a file uses anywhere; the rest is left to its cursors. With half of
the tokens, names that a cursor needs for the first time are crowded out in languages where packages
are imported as a whole: Go, with 768 tokens, shows 0.88 of them, 0.90 with a third, and 0.94 with
none. In Python, a cursor has 171 unprocessed tokens with half, 233 with a third, 425 with none."""


class RepositoryDefinitions:
    """Definitions of one repository, and the choice of those that a prompt shows.

    Args:
        tokenizer: the model's.
        kept: cache of the facts about files on disk; None for none.
        index: index of the repository's files; None for an empty one.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        kept: FactCache | None = None,
        index: DefinitionIndex | None = None,
    ) -> None:
        self._tokenizer, self._kept = tokenizer, kept
        self.index = DefinitionIndex(kept) if index is None else index
        """Index of the repository's files."""
        self.count = token_counter(tokenizer)
        """Counts the tokens of a text."""

    def fork(self) -> RepositoryDefinitions:
        """Return empty definitions of another repository, with the same tokenizer and cache."""
        return RepositoryDefinitions(self._tokenizer, self._kept)

    def overlay(self) -> RepositoryDefinitions:
        """Return definitions of a user over these, whose own files replace some of them."""
        index = DefinitionIndex.over(self.index)
        return RepositoryDefinitions(self._tokenizer, self._kept, index)

    def close(self) -> None:
        """Write and close the cache of facts."""
        if self._kept is not None:
            self._kept.close()

    def put(self, path: str, text: str) -> None:
        """Take in a file, or its new version."""
        self.index.put(path, text)

    def forget(self, path: str) -> None:
        """Take out a file."""
        self.index.forget(path)

    def restore(self, path: str) -> None:
        """Show the base's version of a file again that a user's own file replaced."""
        self.index.restore(path)

    def used_by(self, path: str, text: str, n_tokens: int) -> Wanted:
        """Return what all prompts of a file should show, within a share of ``n_tokens``."""
        chosen = choose_for_file(self.index, path, text)
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
            n_tokens: most tokens of all excerpts, paths included.
            shown: excerpts that are shown in any case.
        """
        chosen = choose(self.index, path, prefix, suffix)
        return wanted_of(chosen, shown, n_tokens, self.count, self._fitting)

    def _fitting(self, chosen: Sequence[Chosen], n_tokens: int) -> Excerpts:
        """Return as many definitions as fit, the most wanted file last."""
        blocks = fit(chosen, self.count, n_tokens)
        return tuple(Excerpt(block.path, block.text, block.chosen) for block in blocks)

    def still_hold(self, excerpt: Excerpt) -> bool:
        """Whether an excerpt still matches its file."""
        file = self.index.file(excerpt.path)
        texts = set() if file is None else {each.shown for each in file.facts.definitions}
        return texts.issuperset(each.shown for each in excerpt.chosen)

    def described(self, excerpts: Sequence[Excerpt], text: str) -> list[ShownDefinition]:
        """Describe the definitions in excerpts, and whether a suggestion names them.

        Args:
            excerpts: excerpts of the prompt.
            text: the suggestion.
        """
        return describe(excerpts, text, self.count)
