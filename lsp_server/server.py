"""Builds the language server: pygls, the session, the features, and the guard around both."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from lsp_server import __version__
from lsp_server.features import commands, completion, documents, lifecycle, status, workspace
from lsp_server.features.progress import IndexingProgress
from lsp_server.session import Session, Status

logger = logging.getLogger(__name__)

FEATURES = (lifecycle, documents, completion, workspace, status, commands)


class Protocol(LanguageServerProtocol):
    """pygls' protocol, without its own document store.

    pygls splits lines at form feeds and U+2028, where LSP does not, and rebuilds the text at every
    keystroke; ``lsp_server.documents`` holds the text instead.
    """

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_OPEN], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE], (params,), None


class Server(LanguageServer):
    """The language server of one client."""

    def __init__(self, overrides: Mapping[str, Any] | None = None) -> None:
        super().__init__("longllama-lsp", __version__, protocol_cls=Protocol)
        self.session = Session(self, overrides)
        self.progress = IndexingProgress(self)
        self._ending: asyncio.Task[None] | None = None
        for feature in FEATURES:
            feature.register(self)

    def status_changed(self, status: Status) -> None:
        """Tell the client, and move the progress bar."""
        self.protocol.notify("longllama/didChangeStatus", asdict(status))
        self.progress.update(status)

    def warn(self, message: str) -> None:
        """Show the user something, once for each cause."""
        logger.warning("%s", message)
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log what went wrong; pygls would put up a message for every failed notification."""
        logger.error("%s: %s", getattr(source, "__name__", source), error)


def serve(transport: str, host: str, port: int, overrides: Mapping[str, Any] | None) -> None:
    """Serve one client over ``stdio``, ``tcp`` or ``ws`` until it goes away."""
    server = Server(overrides)
    start: dict[str, Callable[[], None]] = {
        "stdio": server.start_io,
        "tcp": lambda: server.start_tcp(host, port),
        "ws": lambda: server.start_ws(host, port),
    }
    start[transport]()
