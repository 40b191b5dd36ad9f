"""The form of a suggestion: what of the model's text fits where the cursor is.

Pure functions of texts; ``tests/data/suggestions.toml`` has what they make of what.
"""

import re

from lsp_server.suggestions.filters import trim_overlap

NEAR_CHARS = 4_000
"""How far back brackets are looked for that are still open."""
OPENERS = {")": "(", "]": "[", "}": "{"}
_STRING = re.compile(r"""(["'`])(?:\\.|(?!\1)[^\\\n])*\1""")


def fitted(text: str, before: str, after: str) -> str:
    """What is worth showing of a text between two others; empty where nothing is.

    Nothing that the rest of the line or the next line has already, and no bracket closed at its
    end that nobody opened.
    """
    rest, _, following = after.partition("\n")
    text = trim_overlap(without_surplus_closers(text, before), rest)
    line = before[before.rfind("\n") + 1 :]
    next_line = next((each for each in following.split("\n", 20)[:20] if each.strip()), "")
    is_next = (line + text + rest).strip() == next_line.strip()
    return "" if not text.strip() or (is_next and "\n" not in text) else text


def without_surplus_closers(text: str, before: str) -> str:
    """A text without brackets at its end that close nothing."""
    tail = re.search(r"[)\]}\s,;:]*$", text)
    assert tail is not None  # it may be empty
    opened = _open_brackets(before[-NEAR_CHARS:])
    for place, char in _brackets(text):
        if char in OPENERS.values():
            opened.append(char)
        elif opened and opened[-1] == OPENERS[char]:
            opened.pop()
        elif place >= tail.start():
            return text[:place].rstrip()
        else:
            return text  # no language that we understand
    return text


def _open_brackets(text: str) -> list[str]:
    opened: list[str] = []
    for _, char in _brackets(text):
        if char in OPENERS.values():
            opened.append(char)
        elif opened and opened[-1] == OPENERS[char]:
            opened.pop()
    return opened


def _brackets(text: str) -> list[tuple[int, str]]:
    """Brackets outside of strings, and their places."""
    blanked = _STRING.sub(lambda found: " " * len(found[0]), text)
    return [(found.start(), found[0]) for found in re.finditer(r"[()\[\]{}]", blanked)]
