"""Trims the model's text to what fits at the cursor.

Pure functions of texts; examples are in ``tests/data/suggestions.toml``.
"""

import re
from dataclasses import replace

from lsp_server.suggestions.brackets import without_closers_below, without_surplus_closers
from lsp_server.suggestions.closers import Fit, fit_closers

MAX_BLANK_LINES = 20
"""Blank lines behind the cursor that are passed over on the way to the next line."""
CLOSERS = (")", "]", "}")
_END_OF_BLOCK = re.compile(r"\s*(?:[)\]}]+[)\]},;]*|end|fi|done|esac|</[\w.:-]*>)$")
_BEGINNINGS = ("@", "#[", "/*", "//", "<!--", '"""', "'''")
"""What decorators, attributes and comments begin with: many of them are alike."""


def fitted(text: str, before: str, after: str, language: str = "") -> Fit:
    """Return the part of a completion that is worth showing; empty if nothing is.

    Removes what the rest of the line or the next lines already say, and brackets at the end that
    close nothing.

    Args:
        text: the completion.
        before: text before the cursor.
        after: text after the cursor.
        language: language identifier of LSP, such as `python`; empty if it is not known.
    """
    rest, _, following = after.partition("\n")
    fit = fit_closers(without_surplus_closers(text, before, language), before, rest, language)
    line, rest = before[before.rfind("\n") + 1 :], rest[fit.n_replaced :]
    text = _without_ends_below(fit.text, line, following)
    text = without_closers_below(text, before, rest, following)
    is_shown = text.strip() and not _repeats(line + text + rest, line, following)
    return replace(fit, text=text) if is_shown else Fit("")


def _without_ends_below(text: str, line: str, following: str) -> str:
    """Return a text without the lines at its end that the next lines are, if they end blocks.

    Of two blocks, one in the other, the ends stand at different columns.

    Args:
        text: the completion.
        line: the cursor's line up to the cursor.
        following: the lines behind the cursor's.
    """
    ours = (line + text).split("\n")
    below = [each.rstrip() for each in following.split("\n", 2 * MAX_BLANK_LINES) if each.strip()]
    for n_lines in range(len(ours) - 1, 0, -1):
        ends = [each.rstrip() for each in ours[-n_lines:]]
        if ends == below[:n_lines] and all(map(_END_OF_BLOCK.match, ends)):
            begun = ours[:-n_lines] if not line.strip() else ours[1:-n_lines]
            if _indentation(ends[-1]) not in map(_indentation, filter(str.strip, begun)):
                return text[: -len("\n".join(ours[-n_lines:])) - 1]
    return text


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _repeats(written: str, line: str, following: str) -> bool:
    """Whether what was written begins as the next lines do.

    Args:
        written: the cursor's line and what the completion adds.
        line: the cursor's line up to the cursor.
        following: the lines behind the cursor's.
    """
    block = written.split("\n")
    if block[0].strip() == line.strip() and len(block) > 1:
        block = block[1:]  # the completion begins on the line below
    ours, theirs = _texts(block), _texts(following.split("\n", MAX_BLANK_LINES + 1))
    if not ours or not theirs or ours[0].strip() != theirs[0].strip():
        return False
    if len(ours) == 1:
        return True
    if ours[0].lstrip().startswith(CLOSERS):  # indentation tells which block it closes
        return ours[0] == theirs[0]
    # Two functions may have the same decorator; what is below it tells.
    return not _is_common(ours[0].strip()) or ours[1:] == theirs[1:]


def _texts(lines: list[str]) -> list[str]:
    """Return the first two lines that are not blank."""
    return [line.rstrip() for line in lines[: MAX_BLANK_LINES + 1] if line.strip()][:2]


def _is_common(line: str) -> bool:
    """Whether a line begins so many blocks that it says little about this one."""
    return line.startswith(_BEGINNINGS) or not any(char.isalnum() for char in line)
