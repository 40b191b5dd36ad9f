"""What was read for the prompts of one file, and which excerpts of other files they begin with.

Excerpts stand first in a prompt, so that other ones have all of it read anew. While somebody types,
a file therefore keeps those that it has, as long as they say what the repository says; others that
are wanted by then are read while nobody waits, beside the ones that serve until they are complete.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from longllama_code.generation.decode import Decoder
from longllama_code.generation.prompt import Excerpt

Excerpts = tuple[Excerpt, ...]
Key = tuple[str, str, str]
"""A definition: its path, its name, how it is written."""


@dataclass(frozen=True)
class Wanted:
    """What a prompt should begin with."""

    excerpts: Excerpts = ()
    needed: frozenset[Key] = frozenset()
    """Those of the definitions without which it will not do."""


@dataclass
class Prepared:
    """Excerpts, and what was read of a prompt that begins with them."""

    excerpts: Excerpts
    decoder: Decoder
    is_chosen: bool = False
    """Whether the excerpts are what was wanted, and not left over, or none so far."""

    def shows(self, wanted: Wanted) -> bool:
        """Whether everything that is needed is among the excerpts."""
        shown = {each.key for excerpt in self.excerpts for each in excerpt.chosen}
        return wanted.needed <= shown

    def explained_by(self, wanted: Wanted) -> Prepared:
        """Take over why definitions are wanted now; return this."""
        now = {each.key: each for excerpt in wanted.excerpts for each in excerpt.chosen}
        self.excerpts = tuple(
            replace(excerpt, chosen=tuple(now.get(each.key, each) for each in excerpt.chosen))
            for excerpt in self.excerpts
        )
        return self


class FileReading:
    """Owner of what was read for one file.

    Args:
        make: makes a decoder of the model.
    """

    def __init__(self, make: Callable[[], Decoder]) -> None:
        self._make = make
        self.current = Prepared((), make())
        """What answers begin with."""
        self._coming: Prepared | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        coming = 0 if self._coming is None else self._coming.decoder.nbytes
        return self.current.decoder.nbytes + coming

    def drop(self, holds: Callable[[Excerpt], bool]) -> None:
        """Show no longer what the repository does not say any more."""
        held = tuple(filter(holds, self.current.excerpts))
        if held != self.current.excerpts:
            self.current.excerpts, self.current.is_chosen = held, False
        if self._coming is not None and not all(map(holds, self._coming.excerpts)):
            self._coming = None

    def show_nothing(self) -> Prepared:
        """Return the current prompt without any excerpt."""
        self.current.excerpts, self.current.is_chosen = (), False
        return self.current

    def renew(
        self, wanted: Callable[[], Wanted], costs_little: Callable[[Prepared], bool]
    ) -> Prepared:
        """Return what an answer begins with that somebody waits for.

        It shows what is wanted, unless little is to be read for what is there: to show something
        else would have all of the prompt read anew.

        Args:
            wanted: finds out what the repository has to show.
            costs_little: whether little is to be read for something prepared.
        """
        coming = self._coming
        if coming is not None and costs_little(coming):
            self.current, self._coming = coming, None
        if self.current.is_chosen and costs_little(self.current):
            return self.current
        now = wanted()
        if not self.current.shows(now):
            self.current = coming if coming is not None and coming.shows(now) else self.current
            self.current.excerpts = self._arranged(now.excerpts)
            self._coming = None
        self.current.is_chosen = True
        return self.current.explained_by(now)

    def prepare(self, wanted: Wanted) -> Prepared:
        """Return what shows what is wanted: the current prompt, or one that is read beside it."""
        if self.current.shows(wanted):
            self._coming = None
            return self.current.explained_by(wanted)
        if self._coming is None or not self._coming.shows(wanted):
            excerpts = self._arranged(wanted.excerpts)
            self._coming = Prepared(excerpts, self._make(), is_chosen=True)
        return self._coming

    def _arranged(self, wanted: Excerpts) -> Excerpts:
        """Put what is wanted behind those of the current excerpts that still are."""
        kept = tuple(each for each in self.current.excerpts if each in wanted)
        return kept + tuple(each for each in wanted if each not in kept)
