"""Prompts of one file: their excerpts of other files, and the decoders that processed them.

    [excerpts of what the file uses] [excerpts of what the cursor needs besides] text at the cursor

The first are the same for all cursors of the file, and are processed when it is opened. The second
are chosen again whenever most of the text at the cursor is unprocessed anyway. While the user
types, a file keeps both, as long as they match the repository, also while the text is being
processed: each key would begin anew otherwise. If other excerpts are wanted by then, they are
processed in the background by a second decoder, which replaces the first one when it is ready.

A file has several such beginnings, one for each place where the cursor was: at another place, the
next one begins with a copy of what both have in common, so that going back reads nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS, Decoder
from longllama_code.generation.prompting.prompt import Excerpt, Shown

Excerpts = tuple[Excerpt, ...]
Key = tuple[str, str, str]
"""Key of a definition or chunk: its path, its name, its text."""


MAX_PLACES = 8
"""Most places of one file; each is compared with a prompt whose text is unprocessed."""


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


class Place(NamedTuple):
    """Text around a cursor that a prompt shows."""

    before: str
    after: str


class Fit(NamedTuple):
    """What a decoder has processed of a prompt."""

    place: Place
    n_held: int
    """Number of the prompt's ids in its cache."""
    n_unread: int
    """Number of ids that are left to process."""


@dataclass(eq=False)
class Prepared:
    """Excerpts, and a decoder that processed a prompt that begins with them."""

    decoder: Decoder
    of_file: Excerpts | None = None
    """Excerpts of what the file uses; None if they are not chosen so far."""
    of_cursor: Excerpts = ()
    is_chosen: bool = False
    """Whether the cursor's excerpts were chosen, and none of them was dropped since."""
    places: tuple[Place, ...] = ()
    """Texts that the last two prompts showed: that at the cursor, and with a suggestion in it."""
    n_shown: int = 0
    """Number of ids of the last prompt."""
    used: int = 0
    """When the user left the place; higher is later."""

    @property
    def excerpts(self) -> Excerpts:
        """All excerpts, in order."""
        return (*(self.of_file or ()), *self.of_cursor)

    def note(self, place: Place, n_ids: int) -> None:
        """Note what a prompt shows, and how many ids it has."""
        self.places = tuple(dict.fromkeys((*self.places, place)))[-2:]
        self.n_shown = n_ids

    def n_lost(self, text: str, fit: Fit) -> int:
        """Return how many ids that are of use would be dropped for a prompt.

        What was processed of a place is of use as long as the place is in the text.
        """
        is_there = any(one.before + one.after in text for one in self.places)
        if fit.place in self.places or not is_there:
            return 0
        return min(self.decoder.length, self.n_shown) - fit.n_held

    def goes_on(self, fit: Fit) -> bool:
        """Whether a prompt goes on with all that is processed, but for a few tokens."""
        return 0 < self.decoder.length <= fit.n_held + PREFILL_STEP_TOKENS

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
        self.used = 0
        """When the file was used last; higher is later."""
        self._coming: Prepared | None = None
        self._left: list[Prepared] = []
        """Beginnings at other places, the one left last at the end."""

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        every = [self.current, *self._left, *([] if self._coming is None else [self._coming])]
        return sum(each.decoder.nbytes for each in every)

    @property
    def left_first(self) -> int | None:
        """When the place was left that was left first of all; None without such a place."""
        return min((each.used for each in self._left), default=None)

    def forget_place(self) -> None:
        """Drop the place that was left first of all."""
        self._left.remove(min(self._left, key=lambda each: each.used))

    def drop(self, holds: Callable[[Excerpt], bool]) -> None:
        """Drop the excerpts that no longer match the repository."""
        for each in (self.current, *self._left):
            each.drop(holds)
        if self._coming is not None and not all(map(holds, self._coming.excerpts)):
            self._coming = None

    def go_to(self, text: str, fit: Callable[[Prepared], Fit]) -> bool:
        """Make the beginning current that has most of a prompt processed.

        What it has of a place that is still in the text is kept there, and the prompt gets a copy
        of what both have in common. While the user types, or once the place was edited, the prompt
        goes on with the same decoder.

        Args:
            text: the whole text of the file.
            fit: returns what a beginning has of the prompt.

        Returns:
            Whether the current beginning is a new one, with no place of its own so far.
        """
        if self._goes_on(self.current, text, fit(self.current)):
            return False
        coming = [] if self._coming is None else [self._coming]
        if any(self._goes_on(one, text, fit(one)) for one in coming):
            return False  # it becomes the current one
        known = [self.current, *self._left, *coming]
        best = min(known, key=lambda one: (-fit(one).n_held, one.n_lost(text, fit(one))))
        is_new = best.n_lost(text, fit(best)) > PREFILL_STEP_TOKENS
        if is_new or best is not self.current:
            self._leave(self._like(best, fit(best).n_held) if is_new else best)
        return is_new

    @staticmethod
    def _goes_on(prepared: Prepared, text: str, fit: Fit) -> bool:
        """Whether a prompt goes on with a beginning, or goes back by a few tokens."""
        return max(fit.n_unread, prepared.n_lost(text, fit)) <= PREFILL_STEP_TOKENS

    def _leave(self, entered: Prepared) -> None:
        """Leave the current place for another one."""
        self.current.used = self.used
        known = [*self._left, *([] if self._coming is None else [self._coming]), self.current]
        self._left = [each for each in known if each is not entered][-MAX_PLACES:]
        self.current, self._coming = entered, None

    def _like(self, other: Prepared, n_held: int) -> Prepared:
        """Return a beginning with a decoder of its own that has the same first ids."""
        decoder = self._make()
        decoder.begin_like(other.decoder, n_held)
        return Prepared(decoder, other.of_file, other.of_cursor)

    def begin_with(self, other: FileReading, n_ids: Callable[[Prepared], int]) -> None:
        """Copy the beginning of all prompts of a file, if nothing is chosen or processed so far.

        Args:
            other: prompts of the same file.
            n_ids: counts the ids that they begin with.
        """
        whole = other.current
        if self.current.of_file is None and whole.of_file is not None:
            held = min(n_ids(whole), whole.decoder.length)
            self.current = Prepared(self._like(whole, held).decoder, whole.of_file)

    def show_nothing(self) -> Prepared:
        """Return the current prompt without any excerpt."""
        self.current.of_file, self.current.of_cursor = None, ()
        self.current.is_chosen = False
        return self.current

    def renew(self, choice: Choice, fit: Callable[[Prepared], Fit]) -> Prepared:
        """Return the beginning of the prompt of a request that the user waits for.

        It shows what is wanted, unless more tokens would have to be processed then: with the
        current excerpts only a few are left, or the text at the cursor is being processed.

        Args:
            choice: chooses excerpts.
            fit: returns what a beginning has of the prompt.
        """
        now, coming = fit(self.current), self._coming
        if coming is not None and fit(coming).n_unread <= max(now.n_unread, PREFILL_STEP_TOKENS):
            self.current, self._coming = coming, None
            now = fit(coming)
        current = self.current
        if current.is_chosen and now.n_unread <= PREFILL_STEP_TOKENS:
            return current
        chosen = replace(current).choose(choice)
        n_more = fit(chosen).n_unread - now.n_unread
        if current.is_chosen and current.goes_on(now) and n_more > PREFILL_STEP_TOKENS:
            return current
        current.of_file, current.of_cursor = chosen.of_file, chosen.of_cursor
        current.is_chosen = True
        return current

    def prepare(self, choice: Choice, *, is_new: bool = False) -> Prepared:
        """Return a beginning that shows what is wanted, the current one or a second one.

        Args:
            choice: chooses excerpts.
            is_new: whether the current one has no place that it could serve meanwhile.
        """
        if self.current.of_file is None or is_new:
            return self.current.choose(choice)
        now = choice.of_cursor(self.current.of_file)
        if self.current.shows(now) and not self.current.decoder.is_stale:
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
