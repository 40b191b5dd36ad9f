"""What was read for the prompts of one file, and which excerpts of other files they begin with.

    [excerpts of what the file uses] [excerpts of what the cursor needs besides] text at the cursor

The first are the same wherever the cursor is, and are read when the file is opened. The second are
chosen anew where the text at the cursor is to be read anyhow. While somebody types, a file keeps
both, as long as they say what the repository says; others that are wanted by then are read while
nobody waits, beside the ones that serve until they are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from longllama_code.definitions.choice import Chosen
from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS, Decoder
from longllama_code.generation.prompting.prompt import Excerpt

Excerpts = tuple[Excerpt, ...]
Key = tuple[str, str, str]
"""A definition: its path, its name, how it is written."""


def keys_of(excerpts: Excerpts) -> frozenset[Key]:
    """Return the definitions that excerpts show."""
    return frozenset(each.key for excerpt in excerpts for each in excerpt.chosen)


@dataclass(frozen=True)
class Wanted:
    """What a prompt should show."""

    excerpts: Excerpts = ()
    needed: frozenset[Key] = frozenset()
    """Those of the definitions without which it will not do."""
    reasons: Mapping[Key, Chosen] = field(default_factory=dict[Key, Chosen])
    """Definitions as they are wanted, shown or not."""


@dataclass(frozen=True)
class Choice:
    """What can be asked of the repository for one request."""

    of_file: Callable[[], Wanted]
    """What all prompts of the file should show."""
    of_cursor: Callable[[Excerpts], Wanted]
    """What this one should show, besides what it does in any case."""


@dataclass
class Prepared:
    """Excerpts, and what was read of a prompt that begins with them."""

    decoder: Decoder
    of_file: Excerpts | None = None
    """What the file uses; None: nobody has asked so far."""
    of_cursor: Excerpts = ()
    is_chosen: bool = False
    """Whether the cursor's excerpts are what was wanted, and not left over, or none so far."""

    @property
    def excerpts(self) -> Excerpts:
        """All of them, in order."""
        return (*(self.of_file or ()), *self.of_cursor)

    def drop(self, holds: Callable[[Excerpt], bool]) -> None:
        """Show no longer what the repository does not say any more."""
        before = self.excerpts
        self.of_file = self.of_file and tuple(filter(holds, self.of_file))
        self.of_cursor = tuple(filter(holds, self.of_cursor))
        self.is_chosen &= self.excerpts == before

    def choose(self, choice: Choice) -> Prepared:
        """Show what is wanted; nothing changes where everything needed is there. Return this."""
        if self.of_file is None:
            self.of_file = choice.of_file().excerpts
        now = choice.of_cursor(self.of_file)
        if not self.shows(now):
            kept = tuple(each for each in self.of_cursor if each in now.excerpts)
            self.of_cursor = kept + tuple(each for each in now.excerpts if each not in kept)
        self.is_chosen = True
        return self.explained_by(now)

    def shows(self, wanted: Wanted) -> bool:
        """Whether everything that is needed is among the excerpts."""
        return wanted.needed <= keys_of(self.excerpts)

    def explained_by(self, wanted: Wanted) -> Prepared:
        """Take over why definitions are wanted now; return this."""
        self.of_file = self.of_file and _explained(self.of_file, wanted)
        self.of_cursor = _explained(self.of_cursor, wanted)
        return self


def _explained(excerpts: Excerpts, wanted: Wanted) -> Excerpts:
    return tuple(
        replace(one, chosen=tuple(wanted.reasons.get(each.key, each) for each in one.chosen))
        for one in excerpts
    )


class FileReading:
    """Owner of what was read for one file.

    Args:
        make: makes a decoder of the model.
    """

    def __init__(self, make: Callable[[], Decoder]) -> None:
        self._make = make
        self.current = Prepared(make())
        """What answers begin with."""
        self._coming: Prepared | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        coming = 0 if self._coming is None else self._coming.decoder.nbytes
        return self.current.decoder.nbytes + coming

    def drop(self, holds: Callable[[Excerpt], bool]) -> None:
        """Show no longer what the repository does not say any more."""
        self.current.drop(holds)
        if self._coming is not None and not all(map(holds, self._coming.excerpts)):
            self._coming = None

    def show_nothing(self) -> Prepared:
        """Return the current prompt without any excerpt."""
        self.current.of_file, self.current.of_cursor = None, ()
        self.current.is_chosen = False
        return self.current

    def renew(self, choice: Choice, n_unread: Callable[[Prepared], int]) -> Prepared:
        """Return what an answer begins with that somebody waits for.

        It shows what is wanted, unless little is to be read for what is there: to show something
        else would have more read anew.

        Args:
            choice: finds out what the repository has to show.
            n_unread: how many tokens are to be read for something prepared.
        """
        n_current, coming = n_unread(self.current), self._coming
        if coming is not None and n_unread(coming) <= max(n_current, PREFILL_STEP_TOKENS):
            self.current, self._coming = coming, None
            n_current = n_unread(coming)
        if self.current.is_chosen and n_current <= PREFILL_STEP_TOKENS:
            return self.current
        return self.current.choose(choice)

    def prepare(self, choice: Choice) -> Prepared:
        """Return what shows what is wanted: the current prompt, or one that is read beside it."""
        if self.current.of_file is None:
            return self.current.choose(choice)
        now = choice.of_cursor(self.current.of_file)
        if self.current.shows(now):
            return self.current.explained_by(now)
        if self._coming is None:
            self._coming = Prepared(self._make(), self.current.of_file)
        return self._coming.choose(choice)

    def open(self, choice: Choice) -> Prepared:
        """Return what shows what the file uses now: the current prompt, or one beside it."""
        wanted = choice.of_file()
        if self.current.of_file is None:
            self.current.of_file = wanted.excerpts
        if wanted.needed <= keys_of(self.current.of_file):
            return self.current
        coming = self._coming
        if coming is None or not wanted.needed <= keys_of(coming.of_file or ()):
            coming = self._coming = Prepared(self._make(), wanted.excerpts)
        return coming
