"""Between LSP's types and plain values. Nothing behind this module knows an LSP type."""

import os
from pathlib import Path

from lsprotocol import types
from pygls import uris

from lsp_server.documents.document import Edit, Position, PositionEncoding

ENCODINGS: dict[str, PositionEncoding] = {
    types.PositionEncodingKind.Utf8: "utf-8",
    types.PositionEncodingKind.Utf16: "utf-16",
    types.PositionEncodingKind.Utf32: "utf-32",
}


def encoding_of(capabilities: types.ServerCapabilities) -> PositionEncoding:
    """The position encoding that server and client agreed on."""
    return ENCODINGS[capabilities.position_encoding or types.PositionEncodingKind.Utf16]


def path_of(uri: str) -> Path | None:
    """The file behind a URI, without `..`; None for an untitled document or another scheme."""
    if not uri.startswith("file:"):
        return None
    path = uris.to_fs_path(uri)
    return Path(os.path.abspath(path)) if path else None  # noqa: PTH100 - keeps links, drops `..`


def uri_of(path: Path) -> str:
    """The URI of a file."""
    return path.absolute().as_uri()


def position_of(position: types.Position) -> Position:
    """An LSP position as a plain one."""
    return Position(position.line, position.character)


def lsp_position(position: Position) -> types.Position:
    """A plain position as LSP's."""
    return types.Position(line=position.line, character=position.character)


def edit_of(change: types.TextDocumentContentChangeEvent) -> Edit:
    """An incremental or full change of a document."""
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return Edit(None, None, change.text)
    return Edit(position_of(change.range.start), position_of(change.range.end), change.text)
