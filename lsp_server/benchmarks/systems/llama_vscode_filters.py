"""What llama.vscode drops of an answer, before it shows the rest.

Facts are from ``src/completion.ts`` of llama.vscode 0.0.63: ``shouldDiscardSuggestion``,
``updateSuggestion`` and ``removeLeadingSpaces``.
"""

import re
from collections.abc import Sequence

from lsp_server.benchmarks.systems.llama_vscode_prompt import Cursor

_LINE_FEED = re.compile(r"\r?\n")


def answer_lines(text: str) -> list[str]:
    """Return the lines of an answer without blank ones at its end."""
    lines = _LINE_FEED.split(text)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def is_discarded(lines: Sequence[str], cursor: Cursor) -> bool:
    """Whether nothing is shown, as the answer is empty or repeats what follows the cursor.

    Args:
        lines: lines of the answer.
        cursor: the cursor.
    """
    if not lines:
        return True
    below = cursor.lines[cursor.line + 1 :]
    if not below:
        return False
    return _repeats_suffix(lines, cursor.line_suffix, below) or _repeats_next_line(
        lines, cursor.line_prefix, below
    )


def fitted(lines: Sequence[str], line_suffix: str) -> str:
    """Return the part of an answer that fits before the rest of the cursor's line."""
    if line_suffix.strip():
        if lines[0].endswith(line_suffix):
            return lines[0][: -len(line_suffix)]
        return lines[0]
    return "\n".join(lines)


def without_indentation(text: str, n_chars: int) -> str:
    """Return an answer without the indentation that the document has already.

    All tabs at its start go as well, as in llama.vscode, where a condition binds otherwise than its
    layout suggests.
    """
    at = 0
    while at < len(text) and (text[at] == "\t" or (text[at] == " " and at < n_chars)):
        at += 1
    return text[at:]


def _repeats_suffix(lines: Sequence[str], line_suffix: str, below: Sequence[str]) -> bool:
    first, *rest = lines
    if not rest:
        return first == line_suffix
    return first.strip() in ("", line_suffix.strip()) and _begin_alike(rest, below)


def _repeats_next_line(lines: Sequence[str], line_prefix: str, below: Sequence[str]) -> bool:
    at = next((index for index, line in enumerate(below) if line.strip()), None)
    if at is None or line_prefix + lines[0] != below[at]:
        return False
    rest, following = lines[1:], below[at + 1 :]
    if len(rest) == 1:
        return not following or following[0].startswith(rest[0])
    return _begin_alike(rest, following)


def _begin_alike(lines: Sequence[str], document: Sequence[str]) -> bool:
    """Whether lines equal those of the document, as far as both go.

    An answer that goes on after the document's end makes VS Code raise an error there, and
    llama.vscode shows nothing either.
    """
    return all(one == other for one, other in zip(lines, document, strict=False))
