"""Conversion between LSP types and plain values."""

import os
import re
import socket
from pathlib import Path

from lsprotocol import types
from pygls import uris

from lsp_server.documents.document import Edit, Position, PositionEncoding

ENCODINGS: dict[str, PositionEncoding] = {
    types.PositionEncodingKind.Utf8: "utf-8",
    types.PositionEncodingKind.Utf16: "utf-16",
    types.PositionEncodingKind.Utf32: "utf-32",
}


_SCHEME_AND_HOST = re.compile(r"file:(?:(?=/[^/])|//([^/]*)(?=/))", re.IGNORECASE)
_THIS_MACHINE = frozenset({"", "localhost", "127.0.0.1", "[::1]"})


def encoding_of(capabilities: types.ServerCapabilities) -> PositionEncoding:
    """Return the position encoding that server and client agreed on."""
    return ENCODINGS[capabilities.position_encoding or types.PositionEncodingKind.Utf16]


def path_of(uri: str) -> Path | None:
    """Return the path that a ``file:`` URI names, without ``..``; None for any other text.

    RFC 8089 lets a URI of this machine name it: ``file://localhost/path``.
    """
    found = _SCHEME_AND_HOST.match(uri)
    if found is None:
        return None
    if _is_this_machine(found[1] or ""):
        uri = f"file://{uri[found.end() :]}"
    try:
        path = uris.to_fs_path(uri)
        if not path or "\0" in path:
            return None
        os.fsencode(path)
        return Path(os.path.abspath(path))  # noqa: PTH100 - keeps symlinks
    except ValueError:  # malformed, or with characters that no path can have
        return None


def _is_this_machine(host: str) -> bool:
    host = host.lower()
    return host in _THIS_MACHINE or host == socket.gethostname().lower()


def uri_of(path: Path) -> str:
    """Return the URI of a file."""
    return path.absolute().as_uri()


def position_of(position: types.Position) -> Position:
    """Convert a position from LSP."""
    return Position(position.line, position.character)


def lsp_position(position: Position) -> types.Position:
    """Convert a position to LSP."""
    return types.Position(line=position.line, character=position.character)


def edit_of(change: types.TextDocumentContentChangeEvent) -> Edit:
    """Convert a change of a document, of a range or of the whole text, from LSP."""
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return Edit(None, None, change.text)
    return Edit(position_of(change.range.start), position_of(change.range.end), change.text)
