"""Trims the model's text to what fits at the cursor.

Pure functions of texts; examples are in ``tests/data/suggestions.toml``.
"""

import re

NEAR_CHARS = 4_000
"""Distance before the cursor within which open brackets are found."""
OPENERS = {")": "(", "]": "[", "}": "{"}
_STRING = re.compile(r"""(["'`])(?:\\.|(?!\1)[^\\\n])*\1""")


def fitted(text: str, before: str, after: str) -> str:
    """Return the part of a completion that is worth showing; empty if nothing is.

    Removes what the rest of the line or the next line already says, and brackets at the end that
    close nothing.

    Args:
        text: the completion.
        before: text before the cursor.
        after: text after the cursor.
    """
    rest, _, following = after.partition("\n")
    text = trim_overlap(without_surplus_closers(text, before), rest)
    line = before[before.rfind("\n") + 1 :]
    next_line = next((each for each in following.split("\n", 20)[:20] if each.strip()), "")
    is_next = (line + text + rest).strip() == next_line.strip()
    return "" if not text.strip() or (is_next and "\n" not in text) else text


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


def without_surplus_closers(text: str, before: str) -> str:
    """Return a text without brackets at its end that close nothing in it or before it."""
    tail = re.search(r"[)\]}\s,;:]*$", text)
    assert tail is not None  # it may be empty
    opened = _open_brackets(before[-NEAR_CHARS:])
    for offset, char in _brackets(text):
        if char in OPENERS.values():
            opened.append(char)
        elif opened and opened[-1] == OPENERS[char]:
            opened.pop()
        elif offset >= tail.start():
            return text[:offset].rstrip()
        else:
            return text  # brackets do not nest in this language
    return text


def _open_brackets(text: str) -> list[str]:
    """Return the brackets that are open at the end of a text, outermost first."""
    opened: list[str] = []
    for _, char in _brackets(text):
        if char in OPENERS.values():
            opened.append(char)
        elif opened and opened[-1] == OPENERS[char]:
            opened.pop()
    return opened


def _brackets(text: str) -> list[tuple[int, str]]:
    """Return the brackets outside of string literals, with their offsets."""
    blanked = _STRING.sub(lambda found: " " * len(found[0]), text)
    return [(found.start(), found[0]) for found in re.finditer(r"[()\[\]{}]", blanked)]
