"""What the demo shows: a line that is typed, ghost text, and what it drew on.

Without a terminal all of it is plain lines, with ghost text between ⟦ and ⟧.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from lsp_server.demo.answers import Answer
from lsp_server.demo.places import Place

CONTEXT_LINES = 4
MAX_SOURCES = 3
LABEL_CHARS = 21
_SAVE, _RESTORE = "\x1b7", "\x1b8\x1b[K"


class Screen:
    """Prints for people; with colours, key by key, only on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.is_terminal = self._stream.isatty()

    def say(self, text: str = "") -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    def heading(self, place: Place, number: int, count: int) -> None:
        """Print which place comes, and the lines before its own."""
        about = f": {place.about}" if place.about else ""
        self.say(f"\n{self._bold(f'{number}/{count}')} {place.file}:{place.line}{about}\n")
        lines = place.before.split("\n")[:-1]
        first = max(0, len(lines) - CONTEXT_LINES)
        for at, line in enumerate(lines[first:], start=first + 1):
            self.say(self._dim(f"{at:5} {line}"))
        self.write(_numbered(place.untyped()))

    def last_line(self, place: Place) -> None:
        """Print what is typed of a place's line, without ending it."""
        self.write(_numbered(place))

    def write(self, text: str) -> None:
        """Print text that is typed, without ending the line."""
        print(text, end="", file=self._stream, flush=True)

    def wait(self) -> None:
        """Show that an answer is awaited; `ghost` comes next."""
        if self.is_terminal:
            self.write(f"{_SAVE}{self._dim(' ...')}")

    def ghost(self, text: str) -> None:
        """Print ghost text behind what was typed, and end the line."""
        text = text.replace("\n", "\n      ")
        if self.is_terminal:
            self.say(f"{_RESTORE}\x1b[90;3m{text}\x1b[0m")
        else:
            self.say(f"⟦{text}⟧")

    def result(self, label: str, place: Place, answer: Answer) -> None:
        """Print a suggestion in a line, whether it is right, and how long it took."""
        shown = answer.text.split("\n")[0].strip() or f"nothing ({answer.reason})"
        is_right = place.is_right(answer.text)
        verdict = self._coloured("right", 32) if is_right else self._coloured("not right", 33)
        self.say(f"      {label:{LABEL_CHARS}} {shown}")
        self.say(f"      {'':{LABEL_CHARS}} {verdict}; {answer.times}")

    def sources(self, answer: Answer) -> None:
        """Print the lines of other files that a suggestion drew on."""
        label = "drawn from"
        for source in answer.sources[:MAX_SOURCES]:
            self.say(f"      {label:{LABEL_CHARS}} {source}")
            label = ""

    def listed(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print a column of commands, each with what it is for."""
        width = max(len(command) for command, _ in rows)
        for command, about in rows:
            self.say(f"  {self._bold(command)}{'':{width - len(command)}}  {about}")

    def _bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.is_terminal else text

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.is_terminal else text

    def _coloured(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.is_terminal else text


def _numbered(place: Place) -> str:
    """Return what stands on a place's line, with its number."""
    return f"{place.line:5} {place.before.rpartition(chr(10))[2]}"
