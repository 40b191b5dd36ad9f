"""Interface of what chooses excerpts of a repository's files for prompts, and what all share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Protocol, TypeVar

from longllama_code.definitions.fitting import CountTokens
from longllama_code.generation.prompting.prepared_prompt import Excerpts, Wanted, keys_of
from longllama_code.generation.prompting.prompt import Excerpt, Shown
from longllama_code.protocol import ShownDefinition
from longllama_code.tokenizers.tokenizer import Tokenizer

MAX_COUNTED = 100_000
"""Most lines whose token counts are cached."""
NEEDED_SHARE = 0.5
"""Share of the tokens for what must be shown, the most wanted excerpts. The rest changes with every
line that is typed, and would cost more to process each time than it is worth."""

ShownT = TypeVar("ShownT", bound=Shown)


class ExcerptSource(Protocol):
    """Chooser of excerpts of one repository."""

    def put(self, path: str, text: str) -> None:
        """Take in a file, or its new version."""
        ...

    def forget(self, path: str) -> None:
        """Take out a file."""
        ...

    def restore(self, path: str) -> None:
        """Show the base's version of a file again that a user's own file replaced."""
        ...

    def used_by(self, path: str, text: str, n_tokens: int) -> Wanted:
        """Return what all prompts of a file should show, within a share of ``n_tokens``."""
        ...

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
        ...

    def still_hold(self, excerpt: Excerpt) -> bool:
        """Whether an excerpt still matches its file."""
        ...

    def described(self, excerpts: Sequence[Excerpt], text: str) -> list[ShownDefinition]:
        """Describe what excerpts show, and whether a suggestion names it.

        Args:
            excerpts: excerpts of the prompt.
            text: the suggestion.
        """
        ...


def token_counter(tokenizer: Tokenizer) -> CountTokens:
    """Return a function that counts the tokens of a line, and caches the counts."""

    @lru_cache(MAX_COUNTED)
    def count(text: str) -> int:
        return len(tokenizer.encode(text))

    return count


def n_tokens_of(excerpt: Excerpt, count: CountTokens) -> int:
    """Return the number of tokens of an excerpt and its path, counted by lines."""
    lines = [excerpt.path, *excerpt.text.split("\n")]
    return 1 + sum(count(f"{line}\n") for line in lines)


def wanted_of(
    chosen: Sequence[ShownT],
    shown: Excerpts,
    n_tokens: int,
    count: CountTokens,
    fitting: Callable[[Sequence[ShownT], int], Excerpts],
) -> Wanted:
    """Return what a cursor should be shown of all that was chosen for it.

    Args:
        chosen: what was chosen, best first.
        shown: excerpts that are shown in any case.
        n_tokens: most tokens of all excerpts, paths included.
        count: counts the tokens of a line.
        fitting: returns as much of what was chosen as fits into a number of tokens.
    """
    known = keys_of(shown)
    n_left = n_tokens - sum(n_tokens_of(each, count) for each in shown)
    excerpts = fitting([each for each in chosen if each.key not in known], n_left)
    most = fitting(chosen, int(NEEDED_SHARE * n_tokens))
    needed = keys_of(most) & (known | keys_of(excerpts))
    return Wanted(excerpts, needed, {each.key: each for each in chosen})


def best_fitting(excerpts: Iterable[Excerpt], n_tokens: int, count: CountTokens) -> Excerpts:
    """Return as many excerpts, of which the best comes first, as fit; the best one last."""
    taken = list[Excerpt]()
    for each in excerpts:
        cost = n_tokens_of(each, count)
        if cost <= n_tokens:
            taken.append(each)
            n_tokens -= cost
    return tuple(reversed(taken))


def describe(excerpts: Sequence[Excerpt], text: str, count: CountTokens) -> list[ShownDefinition]:
    """Describe what excerpts show; see ``ExcerptSource.described``."""
    names = set(re.findall(r"\w+", text))
    return [
        ShownDefinition(
            each.path,
            each.name,
            each.line,
            each.last_line,
            each.reason,
            count(each.shown + "\n"),
            each.name.rpartition(".")[2] in names,
        )
        for excerpt in excerpts
        for each in excerpt.chosen
    ]
