"""When a suggestion is complete: pure functions of the text so far.

A line ends at its newline. A block, suggested where the cursor's line is blank, ends where the
indentation falls below the cursor's, at two blank lines, or where it begins to repeat what
follows the cursor. Both end where they begin to repeat themselves.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from longllama_code.protocol import StopReason

REPEATED_LINES = 3
_REPEATED = re.compile(r"(?=.{16})(.{2,40}?)\1{3,}$")
"""At the end of a line: the same characters four times, sixteen of them or more."""


class Ending(Protocol):
    """What completes a suggestion."""

    def cut(self, text: str) -> tuple[str, StopReason] | None:
        """The finished suggestion, once ``text`` has passed its end; None while it may go on."""
        ...


class LineEnd(Ending):
    """A suggestion is the rest of a line, whatever it says."""

    def cut(self, text: str) -> tuple[str, StopReason] | None:
        """The line, once ``text`` has passed its end."""
        line, newline, _ = text.partition("\n")
        return (line.rstrip(), "line") if newline else None


@dataclass(frozen=True)
class StopRule(Ending):
    """What ends one suggestion."""

    multiline: bool
    indent: int
    """Columns before the cursor on its line; a block stays at or right of it."""
    next_line: str
    """The first line after the cursor's that is not blank, indented: an inner ``}`` is another."""

    def cut(self, text: str) -> tuple[str, StopReason] | None:
        """The finished suggestion, once ``text`` has passed its end; None while it may go on."""
        repeated = _REPEATED.search(text, text.rfind("\n") + 1)
        if repeated is not None and re.search(r"\w", repeated[1]):
            return text[: repeated.start() + len(repeated[1])].rstrip(), "repeats_itself"
        if "\n" not in text:
            return None
        if not self.multiline:
            return text[: text.index("\n")].rstrip(), "line"
        complete, _, _ = text.rpartition("\n")
        lines = complete.split("\n")
        for number, line in enumerate(lines):
            reason = self._ends_before(lines, number, line)
            if reason == "repeats_itself":  # once is enough
                number -= REPEATED_LINES - 2
            if reason is not None:
                return "\n".join(lines[:number]).rstrip(), reason
        return None

    def _ends_before(self, lines: list[str], number: int, line: str) -> StopReason | None:
        if number == 0:
            return None
        if self.next_line and line.rstrip() == self.next_line:
            return "repeats_suffix"
        if not line.strip():
            return "block" if not lines[number - 1].strip() else None
        last = lines[max(number - REPEATED_LINES + 1, 0) : number + 1]
        if last == [line] * REPEATED_LINES and re.search(r"\w", line):
            return "repeats_itself"
        indent = len(line) - len(line.lstrip())
        return "block" if indent < self.indent else None


def stop_rule(prefix: str, suffix: str, multiline: bool) -> StopRule:
    """The rule for a cursor between two texts."""
    line = prefix[prefix.rfind("\n") + 1 :]
    rest_of_line, _, following = suffix.partition("\n")
    next_lines = (candidate.rstrip() for candidate in following.split("\n", 20)[:20])
    return StopRule(
        multiline=multiline and not line.strip() and not rest_of_line.strip(),
        indent=len(line),
        next_line=next((candidate for candidate in next_lines if candidate), ""),
    )
