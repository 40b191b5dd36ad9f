"""Matching of names and paths against git's patterns, in steps linear in pattern times path.

The rules are those of git's `wildmatch`, over bytes. Git, and regular expressions, go back to each
earlier star when a later part does not fit, which takes exponentially many steps in the number of
stars. Here a pattern is split at its stars into pieces of a fixed length, and each piece is put
at the first place where it fits: a later place cannot help the pieces that follow.
"""

import re
import string
from collections.abc import Sequence
from typing import NamedTuple, Protocol

_LOWER, _UPPER = string.ascii_lowercase, string.ascii_uppercase
_CLASSES = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, [*range(32), 127])),
    "digit": string.digits,
    "graph": "".join(map(chr, range(33, 127))),
    "lower": _LOWER,
    "print": "".join(map(chr, range(32, 127))),
    "punct": string.punctuation,
    "space": " \t\n\r",
    "upper": _UPPER,
    "xdigit": string.hexdigits,
}
_MASKS = {
    name.encode(): sum(1 << ord(char) for char in set(chars)) for name, chars in _CLASSES.items()
}
_ANY = (1 << 256) - 1
_STAR, _QUESTION, _OPEN, _CLOSE, _ESCAPE, _SLASH, _DASH = b"*?[]\\/-"


class NothingNamedError(ValueError):
    """Raised for a pattern that git accepts, and that names nothing."""


class Matcher(Protocol):
    """What a pattern is compiled to."""

    def matches(self, text: bytes) -> bool:
        """Whether the pattern names all of the text."""
        ...


class Dialect(NamedTuple):
    """Options for reading patterns."""

    ignores_case: bool = False
    refuses_odd: bool = False
    """Whether `[z-a]` is an error. For git it is a `z`."""


_GIT = Dialect()


class _Piece:
    """A part of a pattern without stars, which has one length.

    A place in it is an integer that has a bit for each byte that may stand there.
    """

    def __init__(self, places: Sequence[int]) -> None:
        self.n_bytes = len(places)
        self._places = places
        is_literal = all(place and place & (place - 1) == 0 for place in places)
        self._literal = bytes(p.bit_length() - 1 for p in places) if is_literal else None

    def stands_at(self, text: bytes, start: int) -> bool:
        """Whether the text has the piece at a place."""
        if self._literal is not None:
            return text.startswith(self._literal, start)
        own = text[start : start + self.n_bytes]
        fits = all(place >> byte & 1 for byte, place in zip(own, self._places, strict=False))
        return fits and len(own) == self.n_bytes

    def find(self, text: bytes, start: int, end: int) -> int:
        """Return the first place between two where the piece stands; -1 without one."""
        if self._literal is not None:
            return text.find(self._literal, start, end)
        places = range(start, end - self.n_bytes + 1)
        return next((place for place in places if self.stands_at(text, place)), -1)


class Glob:
    """A pattern for one name; its stars match any bytes."""

    def __init__(self, places: Sequence[int | None]) -> None:
        """Prepare; None in the places is a star."""
        stars = [i for i, place in enumerate(places) if place is None]
        starts, ends = [0, *(i + 1 for i in stars)], [*stars, len(places)]
        pieces = [
            _Piece([place for place in places[start:end] if place is not None])
            for start, end in zip(starts, ends, strict=True)
        ]
        self._first, self._last = pieces[0], pieces[-1]
        self._inner = [piece for piece in pieces[1:-1] if piece.n_bytes]
        self._has_star = bool(stars)

    def matches(self, text: bytes) -> bool:
        """Whether the pattern names all of the text."""
        if not self._has_star:
            return len(text) == self._first.n_bytes and self._first.stands_at(text, 0)
        start, end = self._first.n_bytes, len(text) - self._last.n_bytes
        if start > end or not self._first.stands_at(text, 0) or not self._last.stands_at(text, end):
            return False
        for piece in self._inner:
            found = piece.find(text, start, end)
            if found < 0:
                return False
            start = found + piece.n_bytes
        return True


class _Gap(NamedTuple):
    """A double star: any names, at least so many."""

    least: int


class PathGlob:
    """A pattern for a path: a literal beginning, then globs of names, and gaps between them."""

    def __init__(self, head: bytes, parts: Sequence[Glob | _Gap]) -> None:
        self._head = head
        gaps = [i for i, part in enumerate(parts) if isinstance(part, _Gap)]
        starts, ends = [0, *(i + 1 for i in gaps)], [*gaps, len(parts)]
        self._blocks = [
            [part for part in parts[start:end] if isinstance(part, Glob)]
            for start, end in zip(starts, ends, strict=True)
        ]
        self._least = [part.least for part in parts if isinstance(part, _Gap)]

    def matches(self, text: bytes) -> bool:
        """Whether the pattern names all of the text."""
        if not text.startswith(self._head):
            return False
        names = text[len(self._head) :].split(b"/")
        first, *inner = self._blocks
        if not self._least:
            return len(names) == len(first) and _stand_at(first, names, 0)
        last = inner.pop()
        start, end = len(first), len(names) - len(last)
        if start > end or not _stand_at(first, names, 0) or not _stand_at(last, names, end):
            return False
        for least, block in zip(self._least, inner, strict=False):
            places = range(start + least, end - len(block) + 1)
            found = next((place for place in places if _stand_at(block, names, place)), None)
            if found is None:
                return False
            start = found + len(block)
        return start + self._least[-1] <= end


def name_glob(pattern: bytes, dialect: Dialect = _GIT) -> Glob:
    """Compile a pattern for a name, in which a slash has no meaning.

    Raises:
        NothingNamedError: it names nothing.
    """
    places: list[int | None] = []
    position = 0
    while position < len(pattern):
        if pattern[position] == _STAR:
            places.append(None)
            position = _behind_stars(pattern, position)
        else:
            place, position = _place(pattern, position, dialect)
            places.append(place)
    return Glob(places)


def path_glob(pattern: bytes, dialect: Dialect = _GIT) -> PathGlob:
    """Compile a pattern for a path.

    Raises:
        NothingNamedError: it names nothing.
    """
    # Git compares the beginning as it is, and matches the rest alone: in `a**/b`, the stars are at
    # the rest's beginning, and so count as `**` between slashes.
    n_head = literal_bytes(pattern)
    head, rest = pattern[:n_head], pattern[n_head:]
    head = head.lower() if dialect.ignores_case else head
    parts: list[Glob | _Gap] = []
    places: list[int | None] = []
    position = 0
    while position < len(rest):
        if rest[position] == _STAR:
            behind = _behind_stars(rest, position)
            is_first = position == 0 or rest[position - 1] == _SLASH
            gap = _GAP_END.match(rest, behind) if is_first and behind - position > 1 else None
            position = behind if gap is None else gap.end()
            if gap is None:
                places.append(None)
            elif gap[0]:
                parts.append(_Gap(0 if gap[0] == b"/" else 1))
            else:
                return PathGlob(head, [*parts, _Gap(1)])
        elif separator := _SEPARATOR.match(rest, position):
            parts.append(Glob(places))
            places, position = [], separator.end()
        else:
            place, position = _place(rest, position, dialect)
            places.append(place)
    return PathGlob(head, [*parts, Glob(places)])


def literal_bytes(pattern: bytes) -> int:
    """Return the length of a pattern's beginning in which no byte has a meaning."""
    found = _SPECIAL.search(pattern)
    return len(pattern) if found is None else found.start()


_STARS = re.compile(rb"\*+")
_GAP_END = re.compile(rb"/|\\/|\Z")
_SEPARATOR = re.compile(rb"\\?/")
_SPECIAL = re.compile(rb"[*?[\\]")


def _stand_at(block: Sequence[Glob], names: Sequence[bytes], start: int) -> bool:
    return all(glob.matches(names[start + i]) for i, glob in enumerate(block))


def _behind_stars(pattern: bytes, position: int) -> int:
    found = _STARS.match(pattern, position)
    return position if found is None else found.end()


def _place(pattern: bytes, position: int, dialect: Dialect) -> tuple[int, int]:
    """Return the bytes that may stand at one place, and where the pattern goes on."""
    byte = pattern[position]
    if byte == _QUESTION:
        return _ANY, position + 1
    if byte == _OPEN:
        return _class(pattern, position + 1, dialect)
    if byte == _ESCAPE:  # git compares it as it is written
        return 1 << _at(pattern, position + 1), position + 2
    return 1 << (bytes([byte]).lower()[0] if dialect.ignores_case else byte), position + 1


def _class(pattern: bytes, position: int, dialect: Dialect) -> tuple[int, int]:
    """Read a class of characters behind its bracket, as git does, peculiarities included."""
    is_negated = _at(pattern, position) in b"!^"
    position += is_negated
    members, previous, start = 0, 0, position
    while (byte := _at(pattern, position)) != _CLOSE or position == start:
        named = _named_class(pattern, position) if byte == _OPEN else None
        if named is not None:
            name, position = named
            members |= _named_members(name, dialect)
            previous = 0
        elif byte == _DASH and previous and pattern[position + 1 : position + 2] not in (b"", b"]"):
            last, position = _member(pattern, position + 1)
            members |= _range(previous, last, dialect)
            previous = 0
        else:
            previous, position = _member(pattern, position)
            members |= 1 << previous
    return members ^ _ANY if is_negated else members, position + 1


def _named_members(name: bytes, dialect: Dialect) -> int:
    if name not in _MASKS:
        raise NothingNamedError(f"no class of characters is named {name!r}")
    return _MASKS[b"alpha" if dialect.ignores_case and name == b"upper" else name]


def _range(first: int, last: int, dialect: Dialect) -> int:
    if last < first:
        if dialect.refuses_odd:
            raise NothingNamedError("a range ends before it begins")
        return 0
    members = (2 << last) - (1 << first)
    if dialect.ignores_case:
        members |= (members & _MASKS[b"upper"]) << (ord("a") - ord("A"))
    return members


def _member(pattern: bytes, position: int) -> tuple[int, int]:
    """Return one byte of a class, escaped or not, and where the class goes on."""
    if _at(pattern, position) == _ESCAPE:
        position += 1
    return _at(pattern, position), position + 1


def _named_class(pattern: bytes, position: int) -> tuple[bytes, int] | None:
    """Return the name in `[:name:]`, and where the class goes on; None for a mere bracket."""
    if pattern[position + 1 : position + 2] != b":":
        return None
    start = position + 2
    end = pattern.find(b"]", start)
    if end < 0:
        raise NothingNamedError("a class of characters without an end")
    if end == start or pattern[end - 1] != ord(":"):
        return None
    return pattern[start : end - 1], end + 1


def _at(pattern: bytes, position: int) -> int:
    if position >= len(pattern):
        raise NothingNamedError("its last character opens something")
    return pattern[position]
