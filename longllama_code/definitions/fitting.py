"""Fits the chosen definitions into a number of tokens, and renders them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from longllama_code.definitions.chosen import Chosen

MIN_TOKENS = 6
"""Remaining tokens below which no more definitions are tried."""
MAX_TRIED = 400
BODY = " ..."

CountTokens = Callable[[str], int]
"""Returns the number of tokens of a text."""


@dataclass(frozen=True, slots=True)
class Block:
    """Definitions of one file as the model reads them.

    Attributes:
        path: the file.
        text: its definitions, in the order of their lines.
        chosen: those definitions, best first.
        n_tokens: tokens of the path and the text.
    """

    path: str
    text: str
    chosen: tuple[Chosen, ...]
    n_tokens: int


def fit(chosen: Sequence[Chosen], count_tokens: CountTokens, budget: int) -> list[Block]:
    """Return as many of the definitions as fit, file by file, the best file last.

    Args:
        chosen: definitions, best first.
        count_tokens: returns the tokens of a text; called with single lines, so worth caching.
        budget: maximum tokens of all blocks together, including paths.
    """
    room = _Room(count_tokens, budget)
    for one in chosen[:MAX_TRIED]:
        if budget - room.n_tokens < MIN_TOKENS:
            break
        room.add(one)
    return room.blocks()


class _Room:
    """Takes definitions while there is room for them."""

    def __init__(self, count_tokens: CountTokens, budget: int) -> None:
        self._count, self._budget = count_tokens, budget
        self.n_tokens = 0
        self._files: dict[str, dict[tuple[int, str], int]] = {}
        self._taken: dict[str, list[Chosen]] = {}

    def add(self, one: Chosen) -> None:
        """Take a definition, with the heads of the classes around it, if there is room."""
        pieces = self._files.get(one.path, {})
        wanted = [*one.heads, (one.line, one.shown)]
        new = {piece: self._count(piece[1] + "\n") for piece in wanted if piece not in pieces}
        cost = sum(new.values())
        if one.path not in self._files:
            cost += self._count(one.path + "\n") + 1
        if self.n_tokens + cost > self._budget:
            return
        self.n_tokens += cost
        self._files.setdefault(one.path, {}).update(new)
        self._taken.setdefault(one.path, []).append(one)

    def blocks(self) -> list[Block]:
        """Return the definitions taken."""
        return [self._block(path) for path in reversed(self._files)]

    def _block(self, path: str) -> Block:
        pieces = self._files[path]
        n_tokens = sum(pieces.values()) + self._count(path + "\n") + 1
        taken = self._taken[path]
        return Block(path, "\n".join(_lines(sorted(pieces), taken)), tuple(taken), n_tokens)


def _lines(pieces: Iterable[tuple[int, str]], taken: Sequence[Chosen]) -> list[str]:
    """Return texts in order; a definition that contains others has no mark for its body."""
    ends = {(one.line, one.shown): one.last_line for one in taken}
    ordered = list(pieces)
    lines = list[str]()
    for (line, shown), following in zip(ordered, [*ordered[1:], None], strict=True):
        inside = following is not None and line < following[0] <= ends.get((line, shown), 0)
        lines.append(shown.removesuffix(BODY) if inside else shown)
    return lines
