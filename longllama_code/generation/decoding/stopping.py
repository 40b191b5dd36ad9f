"""Stop rules: pure functions that decide when a suggestion is complete.

    one line      the cursor's line has text                  ends at the newline
    a block       the cursor's line is blank                  ends where its scope does
    an opened one the cursor stands behind ``:`` or ``{``     the rest of the line, or the new block

A scope ends where the indentation falls below it, behind the bracket that closes it, at two blank
lines, and at a blank line behind a definition that is complete. Each kind also ends where it
begins to repeat what follows the cursor or itself, and where an instruct model begins to talk (a
fence of Markdown).
"""

import re
from dataclasses import dataclass
from typing import Protocol

from longllama_code.protocol import StopReason

REPEATED_LINES = 3
"""Equal lines, one below the other, from which a suggestion repeats itself."""
MAX_LINES_ABOVE = 400
"""Lines above the cursor that are searched for the one that opens its scope."""
MAX_LINES_BELOW = 20
"""Lines below the cursor that are searched for one that is not blank."""
FENCE = "```"
OPENERS = (":", "{")
_REPEATED = re.compile(r"(?=.{16})(.{2,40}?)\1{3,}$")
"""Repetition at the end of a line: the same characters four times, at least sixteen."""
_CLOSES = re.compile(r"[)\]}]+[;,]?")
"""Line that closes brackets and does nothing else."""
Finished = tuple[str, StopReason]


class Ending(Protocol):
    """Rule that completes a suggestion."""

    def cut(self, text: str) -> Finished | None:
        """Return the finished suggestion once ``text`` is past its end; None before that."""
        ...

    def unfinished(self, text: str) -> str:
        """Return the part of an interrupted text that is worth showing."""
        return text


class LineEnd(Ending):
    """Rule that ends a suggestion at its first newline."""

    def cut(self, text: str) -> Finished | None:
        """Return the line once ``text`` is past its end."""
        line, newline, _ = text.partition("\n")
        return (line.rstrip(), "line") if newline else None


@dataclass(frozen=True)
class StopRule(Ending):
    """Rule for the suggestion at one cursor.

    Attributes:
        multiline: whether the suggestion may be a block.
        indent: columns of the scope; a line of the block stays at or right of it.
        opened: whether the cursor is behind a ``:`` or ``{`` that opens the block.
        closed: whether the text after the cursor closes the scope.
        next_line: first line after the cursor's that is not blank, with its indentation.
        fenced: whether the file contains Markdown fences.
    """

    multiline: bool
    indent: int
    next_line: str
    opened: bool = False
    closed: bool = True
    fenced: bool = False

    def cut(self, text: str) -> Finished | None:
        """Return the finished suggestion once ``text`` is past its end; None before that."""
        repeated = _REPEATED.search(text, text.rfind("\n") + 1)
        if repeated is not None and re.search(r"\w", repeated[1]):
            return text[: repeated.start() + len(repeated[1])].rstrip(), "repeats_itself"
        if "\n" not in text:
            return None
        first, _, _ = text.partition("\n")
        if not self.fenced and first.lstrip().startswith(FENCE):
            return "", "fence"
        if not self.multiline or (self.opened and first.strip()):
            return first.rstrip(), "line"
        return self._cut_block(text.rpartition("\n")[0].split("\n"))

    def unfinished(self, text: str) -> str:
        """Return the lines of a block that are complete, or all of a first line."""
        whole, _, _ = text.rpartition("\n")
        return whole if whole.strip() else text

    def _cut_block(self, lines: list[str]) -> Finished | None:
        """Return the block once a complete line is past its end; None before that."""
        for number in range(1, len(lines)):
            if self._closes(lines[number]):
                return _joined(lines[: number + 1]), "block"
            reason = self._ends_before(lines, number)
            if reason == "repeats_itself":  # keep the line once
                number -= REPEATED_LINES - 2
            if reason is not None:
                return _joined(lines[:number]), reason
        return None

    def _closes(self, line: str) -> bool:
        """Whether a line closes a scope that nothing after the cursor closes."""
        is_outside = _indent(line) < self.indent
        return not self.closed and is_outside and _CLOSES.fullmatch(line.strip()) is not None

    def _ends_before(self, lines: list[str], number: int) -> StopReason | None:
        line, before = lines[number], lines[number - 1]
        if self.next_line and line.rstrip() == self.next_line:
            return "repeats_suffix"
        if not self.fenced and line.lstrip().startswith(FENCE):
            return "fence"
        if not line.strip():
            # Behind an opener, the first line is the rest of the cursor's line.
            return "block" if not before.strip() and not (self.opened and number == 1) else None
        last = lines[max(number - REPEATED_LINES + 1, 0) : number + 1]
        if last == [line] * REPEATED_LINES and re.search(r"\w", line):
            return "repeats_itself"
        is_outside = _indent(line) < self.indent
        return "block" if is_outside or self._begins_another(lines, number) else None

    def _begins_another(self, lines: list[str], number: int) -> bool:
        """Whether a line follows a blank one and a complete definition."""
        if lines[number - 1].strip() or _indent(lines[number]) > self.indent:
            return False
        # The first line continues at the cursor's column.
        inner = [_indent(line) for line in lines[1:number] if line.strip()]
        return _indent(lines[0]) > 0 or max(inner, default=0) > self.indent


def stop_rule(prefix: str, suffix: str, multiline: bool) -> StopRule:
    """Return the rule for a cursor between two texts.

    Args:
        prefix: the file's text before the cursor.
        suffix: the file's text after it.
        multiline: whether a block may be suggested where the cursor's line is blank.
    """
    line = prefix[prefix.rfind("\n") + 1 :]
    rest_of_line, _, following = suffix.partition("\n")
    next_line = _next_line(following)
    opened = line.rstrip().endswith(OPENERS)
    # A block behind an opener is indented by at least one column more than the opener's line.
    indent = _indent(line) + 1 if opened else len(line)
    return StopRule(
        multiline=multiline and not rest_of_line.strip() and (opened or not line.strip()),
        indent=indent,
        next_line=next_line,
        opened=opened,
        closed=_is_closed(prefix, next_line, indent),
        fenced=FENCE in prefix,
    )


def repeats_next_line(prefix: str, text: str, suffix: str) -> bool:
    """Whether a suggestion of one line makes the cursor's line what the next line is already.

    Args:
        prefix: the file's text before the cursor.
        text: the suggestion.
        suffix: the file's text after the cursor.
    """
    rest_of_line, _, following = suffix.partition("\n")
    line = prefix[prefix.rfind("\n") + 1 :]
    whole = f"{line}{text}{rest_of_line}".strip()
    return bool(whole) and whole == _next_line(following).strip()


def _next_line(following: str) -> str:
    """Return the first line that is not blank, with its indentation; empty without one."""
    below = following.split("\n", MAX_LINES_BELOW)[:MAX_LINES_BELOW]
    return next((line for line in map(str.rstrip, below) if line), "")


def _is_closed(prefix: str, next_line: str, indent: int) -> bool:
    """Whether a scope that brackets enclose ends with the line after the cursor's.

    A scope without brackets around it, as in Python, has nothing to close.
    """
    opener = _opener_of(prefix, indent)
    if not opener.rstrip().endswith(("{", "(", "[")):
        return True
    closes = re.match(r"[)\]}]", next_line.lstrip()) is not None
    return closes and _indent(next_line) == _indent(opener)


def _opener_of(prefix: str, indent: int) -> str:
    """Return the last line before the cursor that begins left of a column; empty without one."""
    for line in reversed(prefix.split("\n")[-MAX_LINES_ABOVE:]):
        if line.strip() and _indent(line) < indent:
            return line
    return ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).rstrip()
