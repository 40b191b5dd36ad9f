"""Fits a suggestion in front of what closes the line: brackets, quotes, tags, `end`.

An editor closes by itself what a user opens: `class E(Base|)`. A model writes the line as if that
were not there: `Error):`. So what the suggestion closes as well is replaced by the suggestion.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lsp_server.suggestions.delimiters import (
    MARKUP,
    WORDS,
    Closing,
    Delimiter,
    DelimiterReader,
)

MAX_LINE_CHARS = 2_000
"""Length of a line's part before the cursor above which nothing in it is looked for."""
_PASSED_OVER = re.compile(r"[ \t,;:]*")
_END_TAG = re.compile(r"</([\w.:-]*)>")
_WORD_BEHIND = re.compile(r"(?<!\w)(?:" + "|".join(sorted(WORDS)) + r")(?!\w)")
_STATEMENT_END = re.compile(r"[:;]\s*$")
_NEAR_CHARS = 20_000
"""Length of the text before the cursor in which what a line closes may have been opened."""


@dataclass(frozen=True)
class Fit:
    """The part of a suggestion that is worth showing, and what it stands in place of."""

    text: str
    n_replaced: int = 0
    """Characters behind the cursor, on its line, that the text has as well."""
    n_inserted: int | None = None
    """Length of the text's beginning that fits where nothing is replaced; None: all of it."""

    @property
    def insertion(self) -> str:
        """What to insert where nothing behind the cursor can be replaced."""
        return self.text[: self.n_inserted]


@dataclass(frozen=True)
class _Closer:
    """Place behind the cursor, on its line, at which a delimiter is closed."""

    start: int
    end: int
    delimiter: Delimiter


@dataclass(frozen=True)
class _LineEnd:
    """The rest of the cursor's line."""

    text: str
    closers: list[_Closer]
    """The innermost first."""
    reader: DelimiterReader
    """It has read the line up to the cursor."""

    @property
    def has_code(self) -> bool:
        """Whether there is more than what closes something."""
        rest = self.text[self.closers[-1].end :] if self.closers else self.text
        return bool(rest.strip(" \t,;:"))


def fit_closers(text: str, before: str, line_suffix: str, language: str = "") -> Fit:
    """Return what of a completion to show, and how much behind the cursor it replaces.

    Args:
        text: the completion.
        before: text before the cursor.
        line_suffix: text after the cursor on its line.
        language: language identifier of LSP, such as `python`; empty if it is not known.
    """
    if not line_suffix.strip() or not text.strip():
        return Fit(text)
    line = _line_end(before, line_suffix, language)
    if not line.closers:
        return Fit(trim_overlap(text, line_suffix))
    reader = line.reader
    closings = _of_line(reader.read(text), line.closers)
    if reader.mismatch is not None and len(closings) < len(line.closers):
        text = text[: reader.mismatch]  # it closes what is still open behind the cursor
    if not closings:
        return Fit(text)
    if closings[-1][1] is not line.closers[-1]:
        text = _without_begun(text, closings[-1][0].end, reader.own_start)
    return _replacing(text, closings, line)


def _of_line(
    closings: Iterable[Closing], closers: Sequence[_Closer]
) -> list[tuple[Closing, _Closer]]:
    """Return what closes delimiters that the line closes, too, each with its twin there."""
    twins = {id(closer.delimiter): closer for closer in closers}
    return [
        (closing, twins[id(closing.delimiter)])
        for closing in closings
        if id(closing.delimiter) in twins
    ]


def _without_begun(text: str, start: int, own_start: int | None) -> str:
    """Return a text without what it begins, as it would be in brackets and not end there.

    Args:
        text: the completion.
        start: where it closes the last bracket of the line.
        own_start: where it opens a bracket that it does not close; None if it does not.
    """
    if own_start is not None and own_start >= start:
        return text[:own_start].rstrip()
    statement_end = _STATEMENT_END.search(text, start)
    return text[: statement_end.start()] if statement_end else text


def _replacing(text: str, closings: list[tuple[Closing, _Closer]], line: _LineEnd) -> Fit:
    """Return the fit of a completion that closes some of what the line does."""
    n_kept = 0
    for closing, closer in closings:
        if line.text[closer.start :].startswith(text[closing.start :].rstrip()):
            n_inserted = closings[0][0].start if n_kept else None
            return Fit(text[: closing.start], n_kept, n_inserted)
        n_kept = closer.end
    n_inserted = closings[0][0].start
    if line.has_code or not is_within(line.text[:n_kept], text):
        return Fit(text[:n_inserted])
    return Fit(trim_overlap(text, line.text[n_kept:]), n_kept, n_inserted)


def is_within(replaced: str, text: str) -> bool:
    """Whether a text has all characters of what it replaces, in order: editors show no other."""
    characters = iter(text)
    return all(char in characters for char in replaced)


def trim_overlap(text: str, line_suffix: str) -> str:
    """Return a completion without the end that the rest of the line already has.

    Example: ``get(key))`` before ``)`` becomes ``get(key)``; before an empty line end, nothing
    changes.
    """
    suffix = line_suffix.rstrip()
    if not suffix or "\n" in text:
        return text
    for length in range(min(len(text), len(suffix)), 0, -1):
        kept, removed = text[:-length], text[-length:]
        if suffix.startswith(removed) and not _opens(kept, removed):
            return kept
    return text


def _opens(kept: str, removed: str) -> bool:
    """Whether removing a closer would leave a bracket open that the suggestion itself opened."""
    pairs = {")": "(", "]": "[", "}": "{"}
    return any(
        kept.count(opener) > kept.count(closer)
        for closer, opener in pairs.items()
        if closer in removed
    )


# What is behind the cursor.


def _line_end(before: str, line_suffix: str, language: str) -> _LineEnd:
    """Return what closes something at the beginning of the rest of a line."""
    line = before[before.rfind("\n") + 1 :]
    if len(line) > MAX_LINE_CHARS:
        return _LineEnd(line_suffix, [], DelimiterReader(language))
    reader = DelimiterReader(language)
    for _ in reader.read(line):
        pass
    opened = reader.opened
    if reader.mismatch is not None:
        opened.clear()
    if opened and opened[-1].is_character and not line_suffix.startswith("'"):
        opened.pop()  # it may be anything, such as a lifetime
    closers: list[_Closer] = []
    at, n_open = 0, len(opened)
    while True:
        at += _blanks(line_suffix, at)
        index = _opened_on_line(line_suffix, at, opened, n_open)
        if index is None:
            found = _opened_before(line_suffix, at, before, language, is_outside=n_open == 0)
            if found is None:
                break
            index = n_open
            opened.insert(index, found)
        closer = opened[index]
        closers.append(_Closer(at, at + len(closer.added), closer))
        at, n_open = closers[-1].end, index
    return _LineEnd(line_suffix, closers, reader)


def _blanks(line_suffix: str, at: int) -> int:
    """Return the length of what may stand between two closers."""
    found = _PASSED_OVER.match(line_suffix, at)
    return len(found[0]) if found else 0


def _opened_on_line(line_suffix: str, at: int, opened: list[Delimiter], n_open: int) -> int | None:
    """Return the index of the innermost delimiter that is closed here; None: none of them is.

    Args:
        line_suffix: text after the cursor on its line.
        at: offset in it.
        opened: what the line opens before the cursor, the innermost last.
        n_open: number of these that nothing before the offset closes.
    """
    for index in range(n_open - 1, -1, -1):
        closer = opened[index].added
        if closer and line_suffix.startswith(closer, at):
            return index
    return None


def _opened_before(
    line_suffix: str, at: int, before: str, language: str, *, is_outside: bool
) -> Delimiter | None:
    """Return a delimiter that is closed here, and is known by that alone.

    Args:
        line_suffix: text after the cursor on its line.
        at: offset in it.
        before: text before the cursor.
        language: language identifier of LSP.
        is_outside: whether what the cursor's line opens is closed before.
    """
    near = before[-_NEAR_CHARS:]
    line = near[near.rfind("\n") + 1 :]
    if (tag := _END_TAG.match(line_suffix, at)) is not None:
        return Delimiter(tag[0], "tag") if f"<{tag[1]}" in near else None
    if line_suffix.startswith(">", at) and language not in MARKUP:
        is_open = line.count("<") > line.count(">") - line.count("->") - line.count("=>")
        return Delimiter(">", "angle") if is_open else None
    if (word := _WORD_BEHIND.match(line_suffix, at)) is not None and is_outside:
        return Delimiter(word[0], "word")
    if not is_outside:
        return None
    for quotes in ('"""', "'''", "`"):
        if line_suffix.startswith(quotes, at):
            return Delimiter(quotes, "string") if near.count(quotes) % 2 else None
    return Delimiter(line_suffix[at]) if line_suffix[at : at + 1] in (")", "]", "}") else None
