"""Pieces of definitions that a cursor needs, as excerpts that are kept in memory.

The definitions are those that prompts show (``definition_excerpts.py``). Here each comes with its
piece, whose text does not depend on the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from longllama_code.definitions.choice import choose, choose_for_file
from longllama_code.definitions.chosen import Chosen
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.definition_pieces import (
    Member,
    Piece,
    piece_of,
    pieces_of,
)
from longllama_code.generation.prompting.excerpt_source import best_fitting, describe, wanted_of
from longllama_code.generation.prompting.prepared_prompt import Excerpts, Key, Wanted
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.protocol import ShownDefinition

MAX_FILES = 4096
"""Most files whose pieces are cached."""


@dataclass(frozen=True)
class ChosenPiece:
    """A piece that was chosen for a cursor."""

    piece: Piece
    reason: str
    members: tuple[Chosen, ...]
    """Definitions for which it was chosen, best first."""
    is_own: bool = False
    """Whether it is of the cursor's file, whose other definitions change while one types."""

    @property
    def path(self) -> str:
        """Its file."""
        return self.piece.path

    @property
    def name(self) -> str:
        """Name of its first definition."""
        return self.piece.name

    @property
    def shown(self) -> str:
        """Its text."""
        return self.piece.text

    @property
    def line(self) -> int:
        """Its first line, from 1."""
        return self.piece.line

    @property
    def last_line(self) -> int:
        """Its last line, inclusive."""
        return self.piece.last_line

    @property
    def key(self) -> Key:
        """Its identity, whatever its lines and the reason."""
        return self.path, self.name, self.shown

    @property
    def excerpt(self) -> Excerpt:
        """The excerpt that shows it."""
        return Excerpt(self.path, self.shown, (self,))


@dataclass(frozen=True)
class _FilePieces:
    digest: int
    pieces: tuple[Piece, ...]
    texts: frozenset[str]
    by_member: Mapping[Member, Piece]


class DefinitionPieces:
    """Pieces of one repository, and the choice of those that a cursor needs.

    Args:
        definitions: definitions of the repository, which are told of each file.
    """

    def __init__(self, definitions: RepositoryDefinitions) -> None:
        self._index, self._count = definitions.index, definitions.count
        self._files: dict[str, _FilePieces] = {}

    def put(self, path: str, text: str) -> None:
        """Do nothing: the index has the file."""

    def forget(self, path: str) -> None:
        """Drop what is cached of a file."""
        self._files.pop(path, None)

    def restore(self, path: str) -> None:
        """Drop what is cached of a user's own file."""
        self._files.pop(path, None)

    def of(self, path: str) -> Excerpts:
        """Return all pieces of a file, in no particular order."""
        file = self._of(path)
        return () if file is None else tuple(Excerpt(path, each.text) for each in file.pieces)

    def version(self, path: str) -> int | None:
        """Return what changes with a file's text; None if there is no such file."""
        file = self._index.file(path)
        return None if file is None else file.digest

    def used_by(self, path: str, text: str, n_tokens: int) -> Wanted:
        """Return nothing: what is in memory need not be the same for all cursors of a file."""
        return Wanted()

    def used_anywhere(self, path: str, text: str) -> Excerpts:
        """Return the pieces that a file uses, best first."""
        chosen = self._chosen(path, choose_for_file(self._index, path, text))
        return tuple(each.excerpt for each in chosen)

    def wanted(
        self, path: str, prefix: str, suffix: str, n_tokens: int, shown: Excerpts = ()
    ) -> Wanted:
        """Return the pieces that a cursor needs; see ``ExcerptSource.wanted``."""
        chosen = self._chosen(path, choose(self._index, path, prefix, suffix))
        return wanted_of(chosen, shown, n_tokens, self._count, self._fitting)

    def _fitting(self, chosen: Sequence[ChosenPiece], n_tokens: int) -> Excerpts:
        return best_fitting((each.excerpt for each in chosen), n_tokens, self._count)

    def still_hold(self, excerpt: Excerpt) -> bool:
        """Whether the file still has a piece, or the definition of a piece of the cursor's file."""
        file = self._of(excerpt.path)
        if file is None:
            return False
        own = [each for each in excerpt.chosen if isinstance(each, ChosenPiece) and each.is_own]
        members = {member for each in own for member in each.piece.members}
        return members <= file.by_member.keys() if own else excerpt.text in file.texts

    def described(self, excerpts: Sequence[Excerpt], text: str) -> list[ShownDefinition]:
        """Describe the definitions for which pieces were chosen; see ``ExcerptSource``."""
        chosen = [each for excerpt in excerpts for each in excerpt.chosen]
        pieces = [each for each in chosen if isinstance(each, ChosenPiece)]
        members = (replace(each.excerpt, chosen=each.members) for each in pieces)
        return describe(tuple(members), text, self._count)

    def _chosen(self, path: str, chosen: Iterable[Chosen]) -> list[ChosenPiece]:
        """Return the pieces of some definitions, those of the best definitions first."""
        members = dict[Piece, list[Chosen]]()
        for one in chosen:
            members.setdefault(self._piece(path, one), []).append(one)
        return [
            ChosenPiece(piece, found[0].reason, tuple(found), piece.path == path)
            for piece, found in members.items()
        ]

    def _piece(self, path: str, one: Chosen) -> Piece:
        """Return the piece of a definition; one of the cursor's file stands alone."""
        file = None if one.path == path else self._of(one.path)
        found = None if file is None else file.by_member.get((one.name, one.shown))
        return piece_of(one, self._count) if found is None else found

    def _of(self, path: str) -> _FilePieces | None:
        file = self._index.file(path)
        if file is None:
            return None
        known = self._files.get(path)
        if known is None or known.digest != file.digest:
            known = _file_pieces(file.digest, pieces_of(path, file, self._count))
            self._files[path] = known
            if len(self._files) > MAX_FILES:
                del self._files[next(iter(self._files))]
        return known


def _file_pieces(digest: int, pieces: list[Piece]) -> _FilePieces:
    by_member = {member: piece for piece in pieces for member in piece.members}
    return _FilePieces(digest, tuple(pieces), frozenset(p.text for p in pieces), by_member)
