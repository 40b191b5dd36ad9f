"""Trims the model's text to what fits at the cursor.

Pure functions of texts; examples are in ``tests/data/suggestions.toml``.
"""

from lsp_server.suggestions.brackets import without_surplus_closers

MAX_BLANK_LINES = 20
"""Blank lines behind the cursor that are passed over on the way to the next line."""
CLOSERS = (")", "]", "}")
_BEGINNINGS = ("@", "#[", "/*", "//", "<!--", '"""', "'''")
"""What decorators, attributes and comments begin with: many of them are alike."""


def fitted(text: str, before: str, after: str, language: str = "") -> str:
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
    text = trim_overlap(without_surplus_closers(text, before, language), rest)
    line = before[before.rfind("\n") + 1 :]
    is_shown = text.strip() and not _repeats(line + text + rest, line, following)
    return text if is_shown else ""


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
