"""Pieces of a file: definitions that are encoded together, as one excerpt of the file.

A function is a piece. A class and its members are one, or several with the class's head each; so
are a file's constants. What a language hides from other files is in pieces of its own. Pieces
depend on their file alone, so what is stored of one serves every cursor, and an edit replaces only
those whose text it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from longllama_code.definitions.chosen import Chosen
from longllama_code.definitions.files import File
from longllama_code.definitions.fitting import CountTokens, fit
from longllama_code.definitions.languages.facts import Definition

MAX_PIECE_TOKENS = 128
"""Most tokens of a piece of several definitions; what belongs together sees each other, and what is
chosen brings little along that is not."""
CONSTRUCTORS = frozenset(("__init__", "__new__", "__call__"))
EVERYTHING = 1 << 30

Member = tuple[str, str]
"""Name of a definition, with its class's, and its text."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some definitions of a file, as an excerpt shows them.

    Attributes:
        path: the file.
        name: name of the first definition, with its class's.
        text: the definitions with the heads of the classes around them, without the last line end.
        line: first line, from 1.
        last_line: last line, inclusive.
        members: its definitions.
    """

    path: str
    name: str
    text: str
    line: int
    last_line: int
    members: frozenset[Member] = field(compare=False)


def pieces_of(path: str, file: File, count: CountTokens) -> list[Piece]:
    """Return the pieces of a file.

    Args:
        path: the file.
        file: its facts.
        count: counts the tokens of a text; called with single definitions, so worth caching.
    """
    pieces = list[Piece]()
    for group in _groups(file.facts.definitions):
        chosen = [_as_chosen(path, file, one) for one in group]
        pieces += [_piece(part, count) for part in _parts(chosen, count)]
    return pieces


def piece_of(one: Chosen, count: CountTokens) -> Piece:
    """Return a piece of a single definition."""
    return _piece([one], count)


def _groups(definitions: Sequence[Definition]) -> Iterable[list[Definition]]:
    """Return the definitions that may share a piece, in the order of their lines."""
    groups = dict[tuple[str, bool], list[Definition]]()
    for number, one in enumerate(definitions):
        if not one.shown:
            continue
        name = one.owner or (one.name if one.kind == "class" else "")
        if one.kind == "function" and not one.owner:
            name = f"function {number}"  # no class has such a name
        groups.setdefault((name.split(".")[0], _is_hidden(one)), []).append(one)
    return groups.values()


def _is_hidden(one: Definition) -> bool:
    """Whether other files seldom use a definition."""
    return one.is_private or (one.name.startswith("_") and one.name not in CONSTRUCTORS)


def _parts(chosen: list[Chosen], count: CountTokens) -> Iterator[list[Chosen]]:
    """Yield consecutive definitions that fit into one piece; a larger one stands alone."""
    part, n_tokens = list[Chosen](), 0
    for one in chosen:
        cost = count(f"{one.shown}\n")
        if part and n_tokens + cost > MAX_PIECE_TOKENS:
            yield part
            part, n_tokens = [], 0
        if not part:
            n_tokens = sum(count(f"{head}\n") for _, head in one.heads)
        part.append(one)
        n_tokens += cost
    if part:
        yield part


def _piece(part: list[Chosen], count: CountTokens) -> Piece:
    (block,) = fit(part, count, EVERYTHING)
    lines = [one.line for one in part], [one.last_line for one in part]
    members = frozenset((one.name, one.shown) for one in part)
    return Piece(part[0].path, part[0].name, block.text, min(lines[0]), max(lines[1]), members)


def _as_chosen(path: str, file: File, one: Definition) -> Chosen:
    lines, heads = (one.first_line, one.last_line), tuple(file.heads(one.owner))
    return Chosen(path, one.full_name, one.kind, one.shown, *lines, "", 0.0, heads)
