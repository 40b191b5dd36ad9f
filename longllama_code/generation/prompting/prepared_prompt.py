"""Prompts of one file: their excerpts of other files, and the decoders that processed them.

    [excerpts of what the file uses] [excerpts of what the cursor needs besides] text at the cursor

The first are the same for all cursors of the file, and are processed when it is opened. The second
are chosen again whenever most of the text at the cursor is unprocessed anyway. While the user
types, a file keeps both, as long as they match the repository. If other excerpts are wanted by
then, they are processed in the background by a second decoder, which replaces the first one when it
is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS, Decoder
from longllama_code.generation.prompting.prompt import Excerpt, Shown

Excerpts = tuple[Excerpt, ...]
Key = tuple[str, str, str]
"""Key of a definition or chunk: its path, its name, its text."""


def keys_of(excerpts: Excerpts) -> frozenset[Key]:
    """Return the keys of what some excerpts show."""
    return frozenset(each.key for excerpt in excerpts for each in excerpt.chosen)


@dataclass(frozen=True)
class Wanted:
    """Excerpts that a prompt should show."""

    excerpts: Excerpts = ()
    needed: frozenset[Key] = frozenset()
    """Keys of what the prompt must show."""
    reasons: Mapping[Key, Shown] = field(default_factory=dict[Key, Shown])
    """All that was chosen, shown or not, with the reasons for choosing it."""


@dataclass(frozen=True)
class Choice:
    """Functions that choose excerpts of the repository for one request."""

    of_file: Callable[[], Wanted]
    """Returns what all prompts of the file should show."""
    of_cursor: Callable[[Excerpts], Wanted]
    """Returns what this prompt should show, besides the excerpts given."""


@dataclass
class Prepared:
    """Excerpts, and a decoder that processed a prompt that begins with them."""

    decoder: Decoder
    of_file: Excerpts | None = None
    """Excerpts of what the file uses; None if they are not chosen so far."""
    of_cursor: Excerpts = ()
    is_chosen: bool = False
    """Whether the cursor's excerpts were chosen, and none of them was dropped since."""

    @property
    def excerpts(self) -> Excerpts:
        """All excerpts, in order."""
        return (*(self.of_file or ()), *self.of_cursor)

    def drop(self, holds: Callable[[Excerpt], bool]) -> None:
        """Drop the excerpts that no longer match the repository."""
        before = self.excerpts
        self.of_file = self.of_file and tuple(filter(holds, self.of_file))
        self.of_cursor = tuple(filter(holds, self.of_cursor))
        self.is_chosen &= self.excerpts == before

    def choose(self, choice: Choice) -> Prepared:
        """Show what is wanted, unless everything needed is shown already; return this."""
        if self.of_file is None:
            self.of_file = choice.of_file().excerpts
        return self.show(choice.of_cursor(self.of_file))

    def show(self, wanted: Wanted) -> Prepared:
        """Show what the cursor wants, unless everything needed is shown already; return this."""
        if not self.shows(wanted):
            kept = tuple(each for each in self.of_cursor if each in wanted.excerpts)
            self.of_cursor = kept + tuple(each for each in wanted.excerpts if each not in kept)
        self.is_chosen = True
        return self.explained_by(wanted)

    def shows(self, wanted: Wanted) -> bool:
        """Whether the excerpts show everything that is needed."""
        return wanted.needed <= keys_of(self.excerpts)

    def explained_by(self, wanted: Wanted) -> Prepared:
        """Update the reasons why excerpts are shown; return this."""
        self.of_file = self.of_file and _explained(self.of_file, wanted)
        self.of_cursor = _explained(self.of_cursor, wanted)
        return self


def _explained(excerpts: Excerpts, wanted: Wanted) -> Excerpts:
    return tuple(
        replace(one, chosen=tuple(wanted.reasons.get(each.key, each) for each in one.chosen))
        for one in excerpts
    )


class FileReading:
    """Owner of the prompts of one file.

    Args:
        make: makes a decoder of the model.
    """

    def __init__(self, make: Callable[[], Decoder]) -> None:
        self._make = make
        self.current = Prepared(make())
        """Beginning of the prompts of requests."""
        self._coming: Prepared | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        coming = 0 if self._coming is None else self._coming.decoder.nbytes
        return self.current.decoder.nbytes + coming

    def drop(self, holds: Callable[[Excerpt], bool]) -> None:
        """Drop the excerpts that no longer match the repository."""
        self.current.drop(holds)
        if self._coming is not None and not all(map(holds, self._coming.excerpts)):
            self._coming = None

    def show_nothing(self) -> Prepared:
        """Return the current prompt without any excerpt."""
        self.current.of_file, self.current.of_cursor = None, ()
        self.current.is_chosen = False
        return self.current

    def renew(self, choice: Choice, n_unread: Callable[[Prepared], int]) -> Prepared:
        """Return the beginning of the prompt of a request that the user waits for.

        It shows what is wanted, unless only a few tokens are unprocessed with the current excerpts;
        with other excerpts, more tokens would have to be processed.

        Args:
            choice: chooses excerpts.
            n_unread: counts the unprocessed tokens of the request with a prepared beginning.
        """
        n_current, coming = n_unread(self.current), self._coming
        if coming is not None and n_unread(coming) <= max(n_current, PREFILL_STEP_TOKENS):
            self.current, self._coming = coming, None
            n_current = n_unread(coming)
        if self.current.is_chosen and n_current <= PREFILL_STEP_TOKENS:
            return self.current
        return self.current.choose(choice)

    def prepare(self, choice: Choice) -> Prepared:
        """Return a beginning that shows what is wanted, the current one or a second one."""
        if self.current.of_file is None:
            return self.current.choose(choice)
        now = choice.of_cursor(self.current.of_file)
        if self.current.shows(now):
            return self.current.explained_by(now)
        coming = self._coming
        if coming is None:
            coming = self._coming = Prepared(self._make(), self.current.of_file)
        if coming.of_file != self.current.of_file:
            return coming.choose(choice)
        return coming.show(now)

    def open(self, choice: Choice) -> Prepared:
        """Return a beginning that shows what the file uses, the current one or a second one."""
        wanted = choice.of_file()
        if self.current.of_file is None:
            self.current.of_file = wanted.excerpts
        if wanted.needed <= keys_of(self.current.of_file):
            return self.current
        coming = self._coming
        if coming is None or not wanted.needed <= keys_of(coming.of_file or ()):
            coming = self._coming = Prepared(self._make(), wanted.excerpts)
        return coming
