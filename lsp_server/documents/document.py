"""The text of every open document, as the editor has it.

A document is kept as a list of lines, not as one string: a keystroke then splits only the line
that it changes, however long the document is. The whole text is joined when it is needed.

A *position* is that of the protocol: a line, and a number of code units of the negotiated encoding
in it. An *offset* counts code points from the start of the text. Both come from another process
and may be wrong or stale, so they are clamped into the document and never raise.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from itertools import accumulate, islice
from typing import Final, Literal, NamedTuple

from lsp_server.documents.recent_edits import RecentEdits

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]
"""What `Position.character` counts: bytes, 16-bit units or code points."""

# Without a byte order mark, which would count as a character of every line.
_CODECS: Final = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2)}


class Position(NamedTuple):
    """Line and character of a document, both from 0; `character` counts encoded units."""

    line: int
    character: int


class Edit(NamedTuple):
    """Replacement of the text from `start` up to `end`, excluded, by `text`.

    Without a start it replaces the whole document; without an end it inserts at the start.
    """

    start: Position | None
    end: Position | None
    text: str


OnReplaced = Callable[[str, int, Sequence[str], Sequence[str]], None]
"""Callback that receives a document's URI, the first line that an edit replaces, those lines, and
the new ones."""


class Document:
    """Text of one open document. Not thread-safe.

    Attributes:
        uri: The editor's name for the document.
        language: The editor's language identifier, such as `python`.
        version: The editor's version number after the last change, or a greater one.
    """

    def __init__(
        self,
        uri: str,
        language: str,
        version: int,
        text: str,
        on_replaced: OnReplaced | None = None,
    ) -> None:
        """Start with a text; `on_replaced` is called with the lines that each edit replaces."""
        self.uri = uri
        self._on_replaced = on_replaced
        self.language = language
        self.version = version
        self._text: str | None = text
        self._lines = _split(text)

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their terminators."""
        return self._lines

    @property
    def text(self) -> str:
        """The whole text; joined once after each change."""
        if self._text is None:
            self._text = "".join(self._lines)
        return self._text

    def apply(self, edits: Iterable[Edit], version: int, encoding: PositionEncoding) -> None:
        """Apply edits in order; each one's positions refer to the text after the one before."""
        for edit in edits:
            self._replace(edit, encoding)
        self._text = None
        # Clients send null, or the same number again; each change must have another one.
        self.version = max(version, self.version + 1)

    def offset(self, position: Position, encoding: PositionEncoding) -> int:
        """Return the offset of a position, clamped into the document.

        A line past the end gives the end of the text, a character past the end of its line gives
        the end of that line before its terminator, and the middle of a character its start.
        """
        line, column = self._locate(position, encoding)
        return sum(map(len, islice(self._lines, line))) + column

    def position(self, offset: int, encoding: PositionEncoding) -> Position:
        r"""Return the position of an offset, clamped into the text.

        No position lies inside a `\r\n`: that offset gives the end of its line.
        """
        starts = [0, *accumulate(map(len, self._lines[:-1]))]
        offset = max(offset, 0)
        line = bisect_right(starts, offset) - 1
        before = _body(self._lines[line])[: offset - starts[line]]
        return Position(line, _units(before, encoding))

    def _replace(self, edit: Edit, encoding: PositionEncoding) -> None:
        if edit.start is None:
            self._set_lines(0, len(self._lines), _split(edit.text))
            return
        ends = (edit.start, edit.end or edit.start)
        (first, head), (last, tail) = sorted(self._locate(end, encoding) for end in ends)
        text = self._lines[first][:head] + edit.text + self._lines[last][tail:]
        # A \n at the start joins a lone \r at the end of the line before: one terminator. The end
        # needs no such check, as the tail keeps the terminator of its own line.
        if first and text.startswith("\n"):
            first -= 1
            text = self._lines[first] + text
        self._splice(first, last + 1, text)

    def _splice(self, first: int, stop: int, text: str) -> None:
        lines = _split(text)
        if stop < len(self._lines):
            lines.pop()  # the empty line behind the last terminator: the next old line follows
        self._set_lines(first, stop, lines)

    def _set_lines(self, first: int, stop: int, lines: list[str]) -> None:
        if self._on_replaced is not None:
            self._on_replaced(self.uri, first, self._lines[first:stop], lines)
        self._lines[first:stop] = lines

    def _locate(self, position: Position, encoding: PositionEncoding) -> tuple[int, int]:
        """Return the line of a position, and the number of code points before it in that line."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        line = max(position.line, 0)
        return line, _column(_body(self._lines[line]), position.character, encoding)


class Documents:
    """All open documents, by uri.

    To change or close a document that is not open is the client's mistake; it does nothing and
    returns None.
    """

    def __init__(self) -> None:
        self.edits = RecentEdits()
        """What was edited of all documents."""
        self._documents: dict[str, Document] = {}
        self._lost: dict[str, str] = {}
        """Languages of documents that are open, but of unknown text."""

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents.values())

    def __contains__(self, uri: str) -> bool:
        return uri in self._documents

    def get(self, uri: str) -> Document | None:
        """Return the open document of a URI; None if there is none."""
        return self._documents.get(uri)

    def open(self, uri: str, language: str, version: int, text: str) -> Document:
        """Add a document, in place of one that was open under the same URI."""
        self._lost.pop(uri, None)
        document = Document(uri, language, version, text, self.edits.replaced)
        self._documents[uri] = document
        self.edits.opened(uri, document.lines)
        return document

    def lose(self, uri: str) -> None:
        """Forget the text of an open document that can no longer be followed."""
        document = self._documents.pop(uri, None)
        self.edits.lost(uri)
        self._lost[uri] = document.language if document is not None else ""

    def is_lost(self, uri: str) -> bool:
        """Whether a document is open, but its text is not known."""
        return uri in self._lost

    def change(
        self, uri: str, edits: Iterable[Edit], version: int, encoding: PositionEncoding
    ) -> Document | None:
        """Apply edits and return the changed document; None if it is not open, or still lost."""
        edits = list(edits)
        if uri in self._lost and any(edit.start is None for edit in edits):
            self.open(uri, self._lost[uri], version, "")
        document = self.get(uri)
        if document is not None:
            document.apply(edits, version, encoding)
        return document

    def close(self, uri: str) -> Document | None:
        """Remove a document and return it; None if it is not open."""
        self._lost.pop(uri, None)
        return self._documents.pop(uri, None)


def _split(text: str) -> list[str]:
    """Return the lines with their terminators; the last one has none and may be empty.

    Only line ends of the protocol count. `str.splitlines` also splits at form feeds and seven more
    characters, which would put later edits on the wrong line; `StringIO` does not.
    """
    lines = list(StringIO(text, newline=""))
    if not lines or lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def _body(line: str) -> str:
    """Return a line without its terminator."""
    return line.rstrip("\r\n")


def _units(text: str, encoding: PositionEncoding) -> int:
    """Return the length of a text in code units of the encoding."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    codec, width = _CODECS[encoding]
    # JSON may contain half of a surrogate pair, which codecs reject by default.
    return len(text.encode(codec, "surrogatepass")) // width


def _column(text: str, units: int, encoding: PositionEncoding) -> int:
    """Return how many whole characters fit in a number of code units: the inverse of `_units`."""
    units = max(units, 0)
    if text.isascii():
        return min(units, len(text))
    prefixes = range(len(text) + 1)
    return bisect_right(prefixes, units, key=lambda end: _units(text[:end], encoding)) - 1
