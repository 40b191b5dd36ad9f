"""Context of a cursor, found without parsing, in any language.

The identifier that is being typed is left out, so the context stays the same while it is typed.
"""

import re
from dataclasses import dataclass

NAME = r"[^\W\d][\w$]*"
NAMES = re.compile(NAME)
USES = re.compile(rf"\.?{NAME}")
CHAINS = re.compile(rf"{NAME}(?:(?:\?\.|\.|::|->){NAME})*")
SEPARATORS = re.compile(r"\?\.|\.|::|->")
BRACKETS = re.compile(r"[()\[\]{}]")
INDENT = re.compile(r"[ \t]+")
TYPED = re.compile(r"[\w$]*\Z")
IMPORTED_FROM = re.compile(
    r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]*(?:\([^)]*|[^()\n]*)\Z", re.M
)
OPENED = {")": "(", "]": "["}
KEYWORDS = frozenset(
    (
        *("if", "elif", "while", "for", "in", "is", "not", "and", "or", "return", "await", "yield"),
        *("lambda", "with", "assert", "del", "raise", "print", "def", "class", "else", "except"),
        *("import", "from", "as", "new", "match", "case", "switch", "catch", "function", "fn"),
        "func",
    )
)
"""Words of any language that a bracket may follow without being a call."""
MAX_EXPRESSION_CHARS = 1500
MAX_PARTS = 8
MAX_CALLS = 3
NEAR_CHARS = 1200
"""Characters before a cursor whose names count as in use."""
LOCAL_CHARS_BEFORE = 2048
LOCAL_CHARS_AFTER = 2000
"""Characters of the file before and after the cursor that the model always sees."""


@dataclass(frozen=True)
class CursorText:
    """Context of a cursor.

    Attributes:
        prefix: text before it, without the identifier that is being typed.
        suffix: text after it.
        line: its line, from 1.
        rest: the file without the text on the cursor's line.
        receiver: names of the expression before the dot at the cursor: ``self.store``.
        calls: functions whose arguments are being written, the innermost first.
        imports_from: module whose names are being imported.
        visible: first and last line that the model sees in any case.
        near: end of the prefix, whose names count as in use.
    """

    prefix: str
    suffix: str
    line: int
    rest: str
    receiver: tuple[str, ...]
    calls: tuple[tuple[str, ...], ...]
    imports_from: str
    visible: tuple[int, int]
    near: str


def cursor_text(prefix: str, suffix: str, filler: str = "") -> CursorText:
    """Return the context of a cursor; ``filler`` replaces an indented line in ``rest``."""
    kept = prefix[: TYPED.search(prefix, max(0, len(prefix) - 200)).start()]  # type: ignore[union-attr]
    line = prefix.count("\n") + 1
    start, end = prefix.rfind("\n") + 1, suffix.find("\n")
    indent = INDENT.match(prefix, start)
    line_read = indent[0] + filler if filler and indent else ""
    rest = prefix[:start] + line_read + ("" if end < 0 else suffix[end:])
    near = kept[-MAX_EXPRESSION_CHARS:]
    found = IMPORTED_FROM.search(near)
    first = prefix.count("\n", 0, max(0, len(prefix) - LOCAL_CHARS_BEFORE)) + 1
    last = line + suffix.count("\n", 0, LOCAL_CHARS_AFTER)
    return CursorText(
        kept,
        suffix,
        line,
        rest,
        _receiver(near),
        tuple(_calls(near)),
        found[1] if found else "",
        (first, last),
        kept[-NEAR_CHARS:],
    )


def whole_file(text: str) -> CursorText:
    """Return a context for a whole file: all of it is near, and all of it is visible."""
    n_lines = text.count("\n") + 1
    return CursorText(text, "", n_lines, text, (), (), "", (1, n_lines), text)


def chains_in(text: str) -> list[tuple[str, ...]]:
    """Return chains of names and members such as ``self.store``, each once, the last one first."""
    found = dict.fromkeys(reversed(CHAINS.findall(text)))
    return [tuple(SEPARATORS.split(chain))[:MAX_PARTS] for chain in found]


def _receiver(text: str) -> tuple[str, ...]:
    """Return the names of the expression before the dot at the end of a text."""
    end = _before_separator(text, len(text.rstrip()))
    return () if end is None else _expression(text, end)


def _before_separator(text: str, end: int) -> int | None:
    for mark in ("?.", ".", "::", "->"):
        if text.endswith(mark, 0, end):
            return end - len(mark)
    return None


def _expression(text: str, end: int) -> tuple[str, ...]:
    """Return the names of the expression that ends at ``end``, without calls and subscripts."""
    names = list[str]()
    while len(names) < MAX_PARTS:
        end = _before_brackets(text, end)
        start = _name_start(text, end)
        if start == end:
            return _within_brackets(text, end, names)
        names.append(text[start:end])
        before = _before_separator(text, len(text[:start].rstrip()))
        if before is None:
            break
        end = before
    return tuple(reversed(names))


def _name_start(text: str, end: int) -> int:
    start = end
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_$"):
        start -= 1
    return start


def _before_brackets(text: str, end: int) -> int:
    """Return the end of an expression without the calls and subscripts behind it."""
    end = len(text[:end].rstrip())
    while end > 0 and text[end - 1] in OPENED:
        opened = _opening(text, end)
        if opened is None or (
            _name_start(text, opened) == opened and text[opened - 1 : opened] not in (")", "]")
        ):
            break
        end = opened
    return end


def _opening(text: str, end: int) -> int | None:
    """Return the position of the bracket that is closed right before ``end``."""
    depth = 0
    for place in range(end - 1, max(-1, end - MAX_EXPRESSION_CHARS), -1):
        if text[place] in ")]}":
            depth += 1
        elif text[place] in "([{":
            depth -= 1
            if depth == 0:
                return place
    return None


def _within_brackets(text: str, end: int, names: list[str]) -> tuple[str, ...]:
    """Return the names of ``(await store)`` and the members behind it."""
    if text[end - 1 : end] == ")" and _opening(text, end) is not None:
        inner = _before_brackets(text, end - 1)
        start = _name_start(text, inner)
        if start < inner:
            return (*_expression(text, inner), *reversed(names))
    return ()


def _calls(text: str) -> list[tuple[str, ...]]:
    """Return the functions called by the brackets that are open at the end of a text."""
    found = list[tuple[str, ...]]()
    depth = 0
    for bracket in reversed(list(BRACKETS.finditer(text))):
        if bracket[0] in ")]}":
            depth += 1
            continue
        depth -= 1
        if depth < 0:
            depth = 0
            called = _expression(text, bracket.start()) if bracket[0] == "(" else ()
            if called and called[-1] not in KEYWORDS:
                found.append(called)
            if len(found) == MAX_CALLS:
                break
    return found
