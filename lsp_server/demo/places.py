"""Places in a project: lines whose end is taken away, to be completed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from longllama_code.console import read_text
from lsp_server.documents.document import Document, Position

NAME = re.compile(r"[^\W\d]\w+")
_OPENED = re.compile(r"[.(=]\s*")


@dataclass(frozen=True)
class Place:
    """A cursor whose line ends there."""

    file: str
    """Path below the project's folder, with forward slashes."""
    before: str
    """Text of the file before the cursor."""
    expected: str
    """End of the line, which is taken away."""
    after: str
    """Text from the end of the line on."""
    about: str = ""
    """Description of what is to be completed, for the user; may be empty."""

    @property
    def line(self) -> int:
        """Line of the cursor, from 1."""
        return self.before.count("\n") + 1

    @property
    def typed(self) -> str:
        """What stands on the line, without its indentation."""
        return self.before.rpartition("\n")[2].lstrip()

    @property
    def text(self) -> str:
        """Text of the file, without the end of the line."""
        return self.before + self.after

    @property
    def position(self) -> Position:
        """Position of the cursor, in code points."""
        return Document("", "", 1, self.before).position(len(self.before), "utf-32")

    def untyped(self) -> Place:
        """Return the place before anything was typed on its line."""
        return replace(self, before=self.before[: len(self.before) - len(self.typed)])

    def is_right(self, suggestion: str) -> bool:
        """Whether a suggestion is what stood there, but for spaces at the end."""
        return suggestion.rstrip() == self.expected.rstrip()


def place_before(text: str, file: str, marker: str, about: str = "") -> Place:
    """Return the place behind the last character of a marker, which a text has once."""
    if text.count(marker) != 1:
        raise ValueError(f"{file} has {marker!r} {text.count(marker)} times, not once")
    return _place(text, file, text.index(marker) + len(marker), about)


def parse_place(cursor: str, root: Path) -> Place:
    """Return the place that ``FILE:LINE`` or ``FILE:LINE:COL`` names; both count from 1.

    Without a column, the line is cut before the first name that the file has nowhere else.

    Args:
        cursor: the text; the file is looked for in the project, then in the working directory.
        root: the project's folder, as it really is.

    Raises:
        ValueError: the text has another form, or there is no such file, line or column.
    """
    match = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", cursor)
    if match is None:
        raise ValueError(f"{cursor!r} is no cursor; write FILE:LINE or FILE:LINE:COL.")
    path = _existing(match[1], root)
    text, number = read_text(path), int(match[2])
    lines = text.split("\n")
    if not 1 <= number <= len(lines):
        raise ValueError(f"{match[1]} has no line {number}; it has {len(lines)}.")
    line = lines[number - 1]
    column = int(match[3]) - 1 if match[3] else cut_of(line, text)
    if not 0 <= column <= len(line):
        raise ValueError(f"line {number} of {match[1]} has no column {match[3]}.")
    start = sum(len(each) + 1 for each in lines[: number - 1])
    return _place(text, path.relative_to(root).as_posix(), start + column)


def cut_of(line: str, text: str) -> int:
    """Return where to cut a line: before a name of its own, else behind a bracket, dot or sign."""
    indent = len(line) - len(line.lstrip())
    found = [match for match in NAME.finditer(line) if match.start() > indent]
    names = NAME.findall(text)
    own = next((match.start() for match in found if names.count(match[0]) == 1), None)
    if own is not None:
        return own
    opened = _OPENED.search(line, indent)
    return opened.end() if opened else indent


def _place(text: str, file: str, offset: int, about: str = "") -> Place:
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    return Place(file, text[:offset], text[offset:end], text[end:], about)


def _existing(name: str, root: Path) -> Path:
    for path in ((root / name).resolve(), Path(name).resolve()):
        if path.is_file() and path.is_relative_to(root):
            return path
    raise ValueError(f"{name!r} is no file in {root}.")
