"""Tells whether a cursor is in a comment.

A text is read in parts, so that what a key costs does not grow with the file. Each part begins at
a line that is outside of strings and comments; these places are remembered while the text before
them stays the same.
"""

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from longllama_code.texts import common_prefix_length
from lsp_server.documents.lexing import Kind, has_parser, lexed

PART_CHARS = 3_000
"""Length of a part; the last one is read for each key."""
MAX_PARTS = 16
"""Parts that one call reads; the next call goes on behind them."""
MAX_TEXTS = 8
"""Documents whose places are remembered."""
MAX_WIDENED = 16
"""Parts that one string or comment may fill."""

_NOTHING = "x"
_COMMENT_ENDS = (
    ("/*", "*/"),
    ("<!--", "-->"),
    ("(*", "*)"),
    ("{-", "-}"),
    ("#|", "|#"),
    ("#=", "=#"),
    ("#[", "]#"),
    ("<#", "#>"),
    ("/+", "+/"),
    ("{#", "#}"),
)
_QUOTES = "\"'`"
_LONG_QUOTES = ('"""', "'''", "''", "```")
"""What may have begun in a text, and what ends it. Parsers take a comment or a string without its
end for something else, so each end is tried behind the cursor."""
_NESTED = 4
"""Comments within comments that are ended."""
_LONG_BRACKET = re.compile(r"\[(=*)\[")
_RAW_STRING = re.compile(r'\br(#+)"|R"(\w*)\(')
_HEREDOC = re.compile(r"<<<?[-~]?[ \t]*\\?[\"'`]?([A-Za-z_]\w*)")
_SCRIPT = re.compile(r"<(script|style)\b", re.IGNORECASE)
_QUOTES_END_WITH_LINE = frozenset(
    {
        *("bazel", "c", "cpp", "css", "cuda-cpp", "go", "java", "javascript", "javascriptreact"),
        *("kotlin", "less", "lua", "objective-c", "python", "scala", "scss", "starlark", "swift"),
        *("typescript", "typescriptreact", "zig"),
    }
)
"""Languages in which a string between single or double quotes is on one line."""
_BLOCKS = frozenset({"ruby", "perl", "crystal"})
"""Languages with comments from `=begin` to `=end` or `=cut`."""


def ends_in_comment(text: str, language: str) -> bool:
    """Whether text that is added at the end of a text becomes part of a comment.

    Takes the time of reading a part of the text, or, where much of it is new, `MAX_PARTS` of them:
    call it on a thread.

    Args:
        text: text before the cursor, from the beginning of the file.
        language: language identifier of LSP, such as `python`.
    """
    if not has_parser(language):
        return False
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return kind_at_end(text[_places.part_start(text, language) :], language) == "comment"


def kind_at_end(text: str, language: str) -> Kind:
    """Return what text that is added at the end of some lines becomes part of.

    Args:
        text: lines that begin outside of strings and comments.
        language: language identifier of LSP; its parser is asked. Without one, all is code.
    """
    kinds = set[Kind]()
    for end in _ends(text, language):
        kind_at = lexed(text + end + "\n", language)
        kinds.add("code" if kind_at is None else kind_at(len(text)))
        if "string" in kinds:
            return "string"
    return "comment" if "comment" in kinds else "code"


def _ends(text: str, language: str) -> list[str]:
    """Return what to try behind a text: an end for all that the text may have begun."""
    closed = [end for begin, end in _COMMENT_ENDS if begin in text]
    nested = [" ".join([end] * _NESTED) for begin, end in _COMMENT_ENDS if text.count(begin) > 1]
    if language == "pascal" and "{" in text:
        closed.append("}")
    if language in _BLOCKS and re.search("^=", text, re.MULTILINE):
        closed.append("\n\n=end\n\n=cut")
    # Text in a comment may hold a quote, so all of them end comments, too.
    ends = [" ".join((_NOTHING + end, *closed)) for end in ("", *_strings(text, language))]
    ends += [" ".join((_NOTHING, *nested))] if nested else []
    if scripts := _SCRIPT.findall(text):
        ends = [*ends, *(f"{end}\n</{scripts[-1]}>" for end in ends)]
    return ends


def _strings(text: str, language: str) -> list[str]:
    """Return what may end a string, a regular expression or a heredoc that a text began."""
    line = text[text.rfind("\n") + 1 :]
    at_end = line if language in _QUOTES_END_WITH_LINE else text
    ends = [quote for quote in _QUOTES if quote in (text if quote == "`" else at_end)]
    ends += [quotes for quotes in _LONG_QUOTES if quotes in text]
    ends += ["]/"] if "/" in line else []
    ends += [f"]{found[1]}]" for found in _last(_LONG_BRACKET, text)]
    for found in _last(_RAW_STRING, text):
        ends.append(f'"{found[1]}' if found[1] else f'){found[2]}"')
    return ends + [f"\n{found[1]}\n" for found in _last(_HEREDOC, text)]


def _last(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Return the last match of a pattern in a text, if there is one."""
    return list(pattern.finditer(text))[-1:]


@dataclass
class _Text:
    """One version of a text, and the places where a part of it may begin, in ascending order."""

    text: str
    places: list[int] = field(default_factory=lambda: [0])


class _Places:
    """Places outside of strings and comments, for the texts that were asked about last."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[str, int], _Text] = OrderedDict()
        self._lock = threading.Lock()

    def part_start(self, text: str, language: str) -> int:
        """Return where the last part of a text begins."""
        if len(text) <= PART_CHARS:
            return 0
        # While a document is edited, it mostly keeps its beginning.
        known = self._renewed((language, hash(text[:PART_CHARS])), text)
        places = list(known.places)
        for _ in range(MAX_PARTS):
            place = _next_place(text, places[-1], language)
            if place is None:
                break
            places.append(place)
        with self._lock:
            known.places = places
        if len(text) - places[-1] <= MAX_WIDENED * PART_CHARS:
            return places[-1]
        # The rest is read with the next keys; until then this is a guess.
        return text.rfind("\n", 0, len(text) - PART_CHARS // 2) + 1

    def _renewed(self, key: tuple[str, int], text: str) -> _Text:
        """Return what is known about a text, without places behind its first change."""
        with self._lock:
            former = self._texts.pop(key, _Text(text))
            n_common = common_prefix_length(former.text, text)
            known = _Text(text, [place for place in former.places if place <= n_common])
            self._texts[key] = known
            while len(self._texts) > MAX_TEXTS:
                self._texts.popitem(last=False)
        return known


_places = _Places()


def _next_place(text: str, start: int, language: str) -> int | None:
    """Return a line outside of strings and comments about a part further on.

    None if the text ends before, or if a single string or comment is longer than that.
    """
    length = PART_CHARS
    while length <= MAX_WIDENED * PART_CHARS and start + length < len(text):
        place = _last_line_of_code(text[start : start + length], language)
        if place and kind_at_end(text[start : start + place], language) == "code":
            return start + place
        length *= 2
    return None


def _last_line_of_code(text: str, language: str) -> int:
    """Return the offset of the last line that begins with code, as far as a parser can tell."""
    kind_at = lexed(text, language)
    place = text.rfind("\n") + 1
    while kind_at is not None and place > 0 and kind_at(place) != "code":
        place = text.rfind("\n", 0, place - 1) + 1
    return place
