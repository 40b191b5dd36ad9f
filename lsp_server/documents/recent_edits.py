"""Lines of documents that were edited in this session, across files.

Each document is compared with its own text of a while ago, place by place:

    text then    a  b  c  d  e  f
    text now     a  B  c  d  X  Y  f        places: b → B, e → X Y

An edit within a place or beside one joins it, so what is undone vanishes. Places that were not
touched for long, that grow too large, or that are too many, are left out: their text of now then
counts as that of a while ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

MAX_PLACES = 24
"""Most places of all documents."""
MAX_AGE_S = 1800.0
"""Time that a place stays after it was touched last."""
MAX_LINES = 40
"""Most lines of a place, before or after its edits."""
MAX_CHARS = 4000
"""Most characters of a place, before and after its edits together."""


@dataclass(frozen=True)
class EditedPlace:
    """Lines of a document that others stand in place of now, without their ends."""

    uri: str
    first: int
    """First line now, from 0."""
    before: tuple[str, ...]
    after: tuple[str, ...]
    touched: float
    """When it was edited last, by the clock."""

    @property
    def stop(self) -> int:
        """Line behind the last one now."""
        return self.first + len(self.after)

    def trimmed(self) -> EditedPlace:
        """Return the place without lines that are the same again at its ends."""
        most = min(len(self.before), len(self.after))
        head = _n_same(self.before, self.after, most)
        tail = _n_same(self.before[::-1], self.after[::-1], most - head)
        return replace(
            self,
            first=self.first + head,
            before=self.before[head : len(self.before) - tail],
            after=self.after[head : len(self.after) - tail],
        )

    @property
    def is_small(self) -> bool:
        """Whether it has lines, and not too many of them to keep."""
        n_chars = sum(map(len, (*self.before, *self.after)))
        n_lines = max(len(self.before), len(self.after))
        return 0 < n_lines <= MAX_LINES and n_chars <= MAX_CHARS


class RecentEdits:
    """Owner of the edited places of all documents, also of those that were closed since.

    Args:
        clock: returns seconds; never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[str, list[EditedPlace]] = {}
        """Places of each document, by line; none touches another.

        Each has every line that its edits touched, also those that are the same again: among equal
        lines nobody can tell which of them came back, so an edit must find the place by its lines.
        """

    def places(self) -> list[EditedPlace]:
        """Return all places, the one touched last at the end."""
        return [one.trimmed() for one in self._recent()]

    def _recent(self) -> list[EditedPlace]:
        oldest = self._clock() - MAX_AGE_S
        found = [one for places in self._places.values() for one in places]
        return sorted((one for one in found if one.touched >= oldest), key=_when)

    def opened(self, uri: str, lines: Sequence[str]) -> None:
        """Leave out the places of a document whose lines are others by now."""
        kept = [
            one
            for one in self._places.get(uri, ())
            if tuple(map(_body, lines[one.first : one.stop])) == one.after
        ]
        self._keep(uri, kept)

    def lost(self, uri: str) -> None:
        """Leave out all places of a document that cannot be followed."""
        self._places.pop(uri, None)

    def replaced(self, uri: str, first: int, old: Sequence[str], new: Sequence[str]) -> None:
        """Note that lines of a document were replaced by others.

        Args:
            uri: the document.
            first: first of the lines, from 0.
            old: the lines before, with their ends or without.
            new: the lines now.
        """
        edit = EditedPlace(
            uri, first, tuple(map(_body, old)), tuple(map(_body, new)), self._clock()
        ).trimmed()
        if not edit.before and not edit.after:
            return
        stop, n_more = edit.first + len(edit.before), len(edit.after) - len(edit.before)
        above, joined, below = list[EditedPlace](), list[EditedPlace](), list[EditedPlace]()
        for one in self._places.get(uri, ()):
            if one.stop < edit.first:
                above.append(one)
            elif one.first > stop:
                below.append(replace(one, first=one.first + n_more))
            else:
                joined.append(one)
        whole = _joined(edit, joined)
        is_kept = whole.before != whole.after and whole.is_small
        self._keep(uri, [*above, *([whole] if is_kept else []), *below])
        self._bound()

    def _keep(self, uri: str, places: Iterable[EditedPlace]) -> None:
        kept = list(places)
        if kept:
            self._places[uri] = kept
        else:
            self._places.pop(uri, None)

    def _bound(self) -> None:
        """Leave out what is too old or too much."""
        recent = set(self._recent()[-MAX_PLACES:])
        for uri, places in list(self._places.items()):
            self._keep(uri, (one for one in places if one in recent))


def _joined(edit: EditedPlace, places: Sequence[EditedPlace]) -> EditedPlace:
    """Return an edit as one place with those that it overlaps or touches, in their order.

    What the edit replaced of a place is text of now; the place knows what stood there before.
    """
    if not places:
        return edit
    old, stop = edit.before, edit.first + len(edit.before)
    first, at = min(edit.first, places[0].first), edit.first
    before, after = list[str](), list[str]()
    for one in places:
        before += old[max(at - edit.first, 0) : max(one.first - edit.first, 0)]
        before += one.before
        at = max(at, one.stop)
    before += old[max(at - edit.first, 0) :]
    head, tail = places[0], places[-1]
    after += head.after[: max(edit.first - head.first, 0)]
    after += edit.after
    after += tail.after[len(tail.after) - max(tail.stop - stop, 0) :]
    return replace(edit, first=first, before=tuple(before), after=tuple(after))


def _n_same(one: Sequence[str], other: Sequence[str], most: int) -> int:
    return next((at for at in range(most) if one[at] != other[at]), most)


def _body(line: str) -> str:
    return line.rstrip("\r\n")


def _when(place: EditedPlace) -> float:
    return place.touched
