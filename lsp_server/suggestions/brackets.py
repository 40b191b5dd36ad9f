"""Finds brackets at the end of a completion that close nothing.

A bracket that is cut by mistake breaks the user's code, one that stays is seen at once, so in doubt
it stays. A text is read twice, with and without what may be a comment or a regular expression. If a
closer has no opener in one of the readings, the parser of the language decides; without a parser,
it goes if it has none in either.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator
from functools import lru_cache

from lsp_server.documents.comments import kind_at_end
from lsp_server.documents.lexing import has_parser, lexed

NEAR_CHARS = 4_000
"""Length of the text before the cursor that a parser gets."""
BLOCK_CHARS = 1 << 14
"""Size of a block of text. What is more than a block or two before the cursor is read once, and
kept while the user writes the last block."""
MAX_CHARS = 300_000
"""Length of the text before the cursor above which no closer is cut that may belong to it."""
MOST_LINE_CHARS = 5_000
"""Length of a line above which a text was not written by hand; the readings may be slow on it."""
MAX_LINE_CHARS = 300
"""Length of a line's end that is looked at for patterns and intervals."""
_Opened = tuple[Counter[str], ...]
"""Openers that are left, by kind, for each of the readings."""
OPENERS = {")": "(", "]": "[", "}": "{"}
PROSE = frozenset(
    {"plaintext", "markdown", "latex", "bibtex", "html", "xml", "vue", "svelte", "razor", "csv"}
)
"""Languages whose text has brackets as prose has them: `1)`, `[0, 1)`."""
_TAIL = re.compile(r"[)\]}\s,;:]*$")
"""End of a text that closes brackets and does nothing else; may be empty."""
_STRING = "|".join(rf"{quote}[^{quote}\\\n]*(?:\\.[^{quote}\\\n]*)*{quote}" for quote in "\"'`")
_LONG_STRING = "|".join(rf"{quotes}[\s\S]*?{quotes}" for quotes in ('"""', "'''"))
_COMMENT = (
    r"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|<!--[\s\S]*?(?:-->|\Z)"
    r"|(?:(?<=\s)|(?<![\s\S]))(?:\#(?!\[)|--\s|;)[^\n]*"
)
_REGEX = (
    r"(?:(?<=[(,=:\[!&|?{};\n~])|(?<=[(,=:\[!&|?{};~] )|(?<=return )|(?<=  )|(?<![\s\S]))"
    r"/(?![*/\s])(?:\\.|\[(?:\\.|[^\]\\\n]){0,30}\]|[^/\\\n\[]){1,80}/"
)
_ESCAPED = r"\\."
_BRACKET = r"(?P<bracket>[()\[\]{}])"
# Nothing begins at other characters; the search is ten times as fast for saying so.
_BEGINNINGS = r"(?=[\"'`\\/#;<()\[\]{}\-])"
_READINGS = tuple(
    re.compile(f"{_BEGINNINGS}(?:{'|'.join(parts)})")
    for parts in (
        (_BRACKET, _STRING, _ESCAPED),
        (_BRACKET, _LONG_STRING, _STRING, _COMMENT, _REGEX, _ESCAPED),
    )
)
# A `case` of a shell, whose patterns end with a bracket that nothing opens.
_CASE = re.compile(r"\bcase\b[^\n;]{0,200}?\sin\b")
_END_OF_CASE = re.compile(r"\besac\b")
_PATTERN = re.compile(r"(?:^|;;&?|;&|\sin\s)\s*[^\s()][^()]*$")
_INTERVAL = re.compile(r"[(\[][^()\[\]{}\n]*,[^()\[\]{}\n]*$")
"""Interval of mathematics up to its closer, which need not be the opener's: ``[0, 1``."""


def without_surplus_closers(text: str, before: str, language: str = "") -> str:
    """Return a text without brackets at its end that close nothing in it or before it.

    Args:
        text: the completion.
        before: text before the cursor.
        language: language identifier of LSP, such as `python`; empty if it is not known.
    """
    tail = _TAIL.search(text)
    assert tail is not None  # it may be empty
    if language in PROSE or not tail[0].strip():
        return text
    for offset in _surplus(text, before, language):
        if offset < tail.start():
            return text  # brackets do not nest in this language
        if not _belongs(text, offset, before, language):
            return text[:offset].rstrip()
    return text


def without_closers_below(text: str, before: str, rest: str, below: str) -> str:
    """Return a text without a closer at its end that the next line has too, if one is surplus.

    Args:
        text: the completion.
        before: text before the cursor.
        rest: text behind the cursor, on its line.
        below: the lines below the cursor's.
    """
    tail, closer = _TAIL.search(text), below.lstrip()[:1]
    if tail is None or closer not in OPENERS or closer not in tail[0]:
        return text
    if len(before) > BLOCK_CHARS or len(below) > BLOCK_CHARS:
        return text  # most files are shorter; there would be much to read for each key
    at = tail.start() + tail[0].rindex(closer)
    is_surplus = all(
        at in _unmatched(_brackets(reading, text), Counter())
        and _opened(_brackets(reading, before + text), Counter())[OPENERS[closer]]
        < _n_unmatched(reading, rest + "\n" + below, closer)
        for reading in _READINGS
    )
    return text[:at].rstrip() if is_surplus else text


@lru_cache(maxsize=8)
def _n_unmatched(reading: re.Pattern[str], text: str, closer: str) -> int:
    """Return how many closers of a kind have no opener in a text."""
    unmatched = _unmatched(_brackets(reading, text), Counter())
    return sum(text[offset] == closer for offset in unmatched)


def _surplus(text: str, before: str, language: str) -> list[int]:
    """Return the closers of a text that have no opener in it or before it.

    Most texts are done after the first look, which reads the text alone. The next ones read the
    last block before the cursor too, then all that is before it, then ask the parser.
    """
    block = _line_behind(before, (len(before) // BLOCK_CHARS - 1) * BLOCK_CHARS)
    nothing = tuple(Counter[str]() for _ in _READINGS)
    doubtful = _unmatched_by_readings(nothing, "", text)
    if not doubtful or max(map(len, before.split("\n"))) > MOST_LINE_CHARS:
        return []
    doubtful = _unmatched_by_readings(nothing, before[block:], text)
    if not doubtful:
        return []
    if block > MAX_CHARS:
        return []
    far = _opened_by_readings(before[:block])
    doubtful = _unmatched_by_readings(far, before[block:], text)
    if doubtful and has_parser(language):
        return _unmatched_by_parser(far, before[block:], text, language)
    return [offset for offset, n_readings in doubtful.items() if n_readings == len(_READINGS)]


def _line_behind(text: str, offset: int) -> int:
    """Return where the first line behind an offset begins, or the offset in a long line."""
    if offset <= 0:
        return 0
    return text.find("\n", offset, offset + BLOCK_CHARS // 4) + 1 or offset


def _unmatched_by_readings(far: _Opened, before: str, text: str) -> Counter[int]:
    """Return the closers of a text that have no opener, with the number of readings that say so.

    Args:
        far: openers that are left further back, in each of the readings.
        before: the text before the completion.
        text: the completion.
    """
    found = Counter[int]()
    for reading, opened in zip(_READINGS, far, strict=True):
        found.update(_unmatched(_brackets(reading, before + text), opened.copy()))
    return Counter({at - len(before): n for at, n in sorted(found.items()) if at >= len(before)})


def _unmatched_by_parser(far: _Opened, before: str, text: str, language: str) -> list[int]:
    """Return the closers of a text that have no opener in code.

    Args:
        far: as in `_unmatched_by_readings`.
        before: the text before the completion, of which the parser gets the last lines.
        text: the completion.
        language: language identifier of LSP.
    """
    start = _line_behind(before, len(before) - NEAR_CHARS)
    opened = Counter[str]()
    for reading, counts in zip(_READINGS, far, strict=True):
        opened |= _opened(_brackets(reading, before[:start]), counts.copy())
    near = before[start:]
    closers = _unmatched(_code_brackets(near + text, language), opened)
    return [at - len(near) for at in closers if at >= len(near)]


@lru_cache(maxsize=4)
def _opened_by_readings(text: str) -> _Opened:
    """Return how many openers of each kind a text leaves, in each of the readings."""
    return tuple(_opened(_brackets(reading, text), Counter()) for reading in _READINGS)


def _brackets(reading: re.Pattern[str], text: str) -> Iterator[tuple[int, str]]:
    for found in reading.finditer(text):
        if found["bracket"]:
            yield found.start("bracket"), found["bracket"]


def _opened(brackets: Iterator[tuple[int, str]], opened: Counter[str]) -> Counter[str]:
    """Return how many openers of each kind are left, of those before and these."""
    deque(_unmatched(brackets, opened), maxlen=0)
    return opened


def _unmatched(brackets: Iterator[tuple[int, str]], opened: Counter[str]) -> Iterator[int]:
    """Yield the offsets of closers that no opener of their kind is left for, in any order.

    Args:
        brackets: offsets and brackets.
        opened: how many openers of each kind came before; it is changed.
    """
    for offset, char in brackets:
        opener = OPENERS.get(char)
        if opener is None:
            opened[char] += 1
        elif opened[opener]:
            opened[opener] -= 1
        else:
            yield offset


def _belongs(text: str, offset: int, before: str, language: str) -> bool:
    """Whether a closer belongs to the text though nothing opens it: `1)`, `[0, 1)`, a pattern."""
    line = (before + text[:offset]).rpartition("\n")[2][-MAX_LINE_CHARS:]
    if text[offset] == ")" and language in ("", "shellscript") and _is_case_pattern(line, before):
        return True
    if not has_parser(language):
        return text[offset] in ")]" and _INTERVAL.search(line) is not None
    start = _line_behind(before, len(before) - NEAR_CHARS)
    return kind_at_end(before[start:] + text[:offset], language) != "code"


def _is_case_pattern(line: str, before: str) -> bool:
    """Whether the end of a line is a pattern in a `case` of a shell."""
    n_open = len(_CASE.findall(before)) - len(_END_OF_CASE.findall(before))
    return n_open > 0 and _PATTERN.search(line) is not None


def _code_brackets(text: str, language: str) -> Iterator[tuple[int, str]]:
    """Yield the brackets that a parser finds outside of strings and comments."""
    kind_at = lexed(text, language)
    for found in re.finditer(_BRACKET, text):
        if kind_at is None or kind_at(found.start()) == "code":
            yield found.start(), found[0]
