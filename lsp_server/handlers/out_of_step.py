"""Documents that can no longer be followed, as a change of them was not understood.

Their text would be wrong, so nothing is suggested in them and the file on disk counts again, until
the client sends the whole text: by opening the document again, or by a change without a range.
"""

import logging
from collections.abc import Iterator
from typing import Any, cast

from lsprotocol import types

from lsp_server.server import Server

logger = logging.getLogger(__name__)

OPENINGS = (types.TEXT_DOCUMENT_DID_OPEN, types.NOTEBOOK_DOCUMENT_DID_OPEN)
CHANGES = (types.TEXT_DOCUMENT_DID_CHANGE, types.NOTEBOOK_DOCUMENT_DID_CHANGE)


def not_understood(server: Server, message: dict[str, Any], place: str) -> None:
    """Stop following the documents that a message was about, if it was about their text.

    Args:
        server: the server.
        message: a notification that could not be decoded.
        place: path of what was not understood in it.
    """
    method = message.get("method")
    if not server.is_initialized or method not in (*OPENINGS, *CHANGES):
        return
    for uri in list(_documents(server, method, message.get("params"))):
        if method in OPENINGS or uri in server.session.documents:
            lose(server, uri, place)


def lose(server: Server, uri: str, place: str) -> None:
    """Stop following a document, and tell the user."""
    server.session.documents.lose(uri)
    server.session.open_files.closed(uri)
    server.session.announcer.warn_once(
        f"{uri} can no longer be followed: {place} of a change was not understood. Nothing is "
        "suggested in it until it is closed and opened again."
    )


def _documents(server: Server, method: str, params: Any) -> Iterator[str]:
    """Yield the URIs of a document, or of a notebook's cells, as far as they can be read."""
    kind = method.partition("/")[0]  # which is also the name of the field
    uri = _uri(params, kind)
    if uri is None:
        return
    if kind == "textDocument":
        yield uri
        return
    yield from server.session.notebooks.cells(uri)
    cells = params.get("cellTextDocuments")
    for cell in cells if isinstance(cells, list) else ():
        if (cell_uri := _uri({"": cell}, "")) is not None:
            yield cell_uri


def _uri(params: Any, key: str) -> str | None:
    item = cast("Any", params).get(key) if isinstance(params, dict) else None
    uri = cast("Any", item).get("uri") if isinstance(item, dict) else None
    return uri if isinstance(uri, str) else None
