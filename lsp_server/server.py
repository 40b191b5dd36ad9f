"""Builds the language server of pygls, the session and the features."""

import hmac
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from lsp_server import __version__
from lsp_server.handlers import (
    commands,
    completion,
    diagnosis,
    documents,
    lifecycle,
    notebooks,
    status,
    workspace,
)
from lsp_server.handlers.larger_model import LargerModelOffer
from lsp_server.handlers.progress import IndexingProgress
from lsp_server.indexing.file_table import Status
from lsp_server.session import Session
from lsp_server.suggestions.request import Suggestion

logger = logging.getLogger(__name__)

FEATURES = (lifecycle, documents, notebooks, completion, workspace, status, diagnosis, commands)

MsgId = str | int


def _is_request(data: Mapping[str, Any]) -> bool:
    return "id" in data and "method" in data


@dataclass(frozen=True)
class _Malformed:
    """A message that cannot be read."""

    msg_id: object
    """The id of a request; None of anything else."""
    error: JsonRpcException


class Protocol(LanguageServerProtocol):
    """pygls' protocol, without its own document store.

    pygls splits lines at form feeds and U+2028, where LSP does not, and rebuilds the text at every
    keystroke; ``lsp_server.documents.document`` holds the text instead. The handlers of documents
    are no generators, as pygls' are: it keeps a future of each of those for ever.
    """

    is_begun = False
    """Whether a client was let in by ``initialize``; nothing is done for one that was not."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A message as an object; one that is none of the protocol's becomes `_Malformed`.

        pygls would raise, and leave a request without an answer.
        """
        try:
            message = super().structure_message(data)
        except JsonRpcException as error:
            return _Malformed(data.get("id") if "method" in data else None, error)
        if "jsonrpc" in data and _is_request(data) and not hasattr(message, "id"):
            return _Malformed(data["id"], JsonRpcInvalidRequest("that is a notification"))
        return message

    def handle_message(self, message: Any) -> None:
        """Answer what pygls would leave unanswered; hand the rest over."""
        if isinstance(message, dict):  # without a version of JSON-RPC
            message = _Malformed(message.get("id"), JsonRpcInvalidRequest("no jsonrpc"))
        if isinstance(message, _Malformed):
            self._server.report_server_error(message.error, JsonRpcException)
            if isinstance(message.msg_id, int | str):
                self._refuse(message.msg_id, message.error)
        elif self._shutdown and hasattr(message, "method") and hasattr(message, "id"):
            self._refuse(message.id, JsonRpcInvalidRequest("the server was shut down"))
        elif hasattr(message, "jsonrpc"):
            super().handle_message(message)

    def _handle_request(self, msg_id: MsgId, method_name: str, params: Any) -> None:
        """Refuse what is out of turn, as the protocol wants it."""
        if self.is_begun and method_name == types.INITIALIZE:
            self._refuse(msg_id, JsonRpcInvalidRequest("the server is initialized already"))
        elif not self.is_begun and method_name != types.INITIALIZE:
            self._refuse(msg_id, JsonRpcServerNotInitialized("initialize comes first"))
        else:
            super()._handle_request(msg_id, method_name, params)

    def _refuse(self, msg_id: MsgId, error: JsonRpcException) -> None:
        self._send_response(msg_id, None, error.to_response_error())

    def _handle_notification(self, method_name: str, params: Any) -> None:
        """Drop what is out of turn."""
        if self.is_begun or method_name in (types.EXIT, types.CANCEL_REQUEST):
            super()._handle_notification(method_name, params)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> Any:
        """Read no further message; pygls would end the process from within."""
        cast("Server", self._server).ended.set()

    def _send_response(
        self, msg_id: str | int, result: Any = None, error: types.ResponseError | None = None
    ) -> None:
        """Answer, without the traceback that pygls attaches to errors: the log has it."""
        if error is not None:
            error.data = None
        super()._send_response(msg_id, result, error)

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.TEXT_DOCUMENT_DID_OPEN](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE](params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, params: types.DidOpenNotebookDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.NOTEBOOK_DOCUMENT_DID_OPEN](params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(
        self, params: types.DidChangeNotebookDocumentParams
    ) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.NOTEBOOK_DOCUMENT_DID_CHANGE](params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(self, params: types.DidCloseNotebookDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.NOTEBOOK_DOCUMENT_DID_CLOSE](params)


class Server(LanguageServer):
    """The language server of one client."""

    def __init__(
        self, command_line: Mapping[str, Any] | None = None, token: str | None = None
    ) -> None:
        super().__init__(
            "longllama-lsp",
            __version__,
            notebook_document_sync=notebooks.SYNC,
            protocol_cls=Protocol,
        )
        self.ended = threading.Event()
        self.session = Session(self, command_line)
        self.bar = IndexingProgress(self)
        self.offer = LargerModelOffer(self)
        self._token = token
        for feature in FEATURES:
            feature.register(self)

    @property
    def was_shut_down(self) -> bool:
        """Whether the client took its leave as the protocol wants it."""
        return self.protocol._shutdown  # pyright: ignore[reportPrivateUsage]

    def admit(self, options: Any) -> Any:
        """Let a client in by its ``initializationOptions``; these, less its token.

        Raises:
            JsonRpcInvalidRequest: a token is asked for, and the client has another or none.
        """
        given = options.pop("token", None) if isinstance(options, dict) else None
        if self._token is not None and not _is_same(given, self._token):
            self.ended.set()
            raise JsonRpcInvalidRequest(
                "initializationOptions.token is missing or wrong; the server printed the right one."
            )
        cast("Protocol", self.protocol).is_begun = True
        return options

    async def end(self) -> None:
        """Stop everything that was begun for the client."""
        await self.offer.end()
        await self.session.end()

    def status_changed(self, status: Status) -> None:
        """Tell the client, and move the progress bar."""
        self.protocol.notify("longllama/didChangeStatus", asdict(status))
        self.bar.update(status)

    def warn(self, message: str) -> None:
        """Show the user something, once for each cause."""
        logger.warning("%s", message)
        self.say(message, is_warning=True)

    def say(self, message: str, *, is_warning: bool = False) -> None:
        """Show the user something that they asked for."""
        kind = types.MessageType.Warning if is_warning else types.MessageType.Info
        self.window_show_message(types.ShowMessageParams(kind, message))

    def trace_suggestion(self, suggestion: Suggestion) -> None:
        """Tell a client that traces how a request ended; no text of it."""
        if self.protocol.trace is types.TraceValue.Off:
            return
        timings = suggestion.result.timings if suggestion.result else None
        said = suggestion.reason or f"{len(suggestion.text)} characters"
        verbose = str(asdict(timings)) if timings is not None else None
        self.log_trace(
            types.LogTraceParams(
                message=f"suggestion {suggestion.id}: {said}",
                verbose=verbose if self.protocol.trace is types.TraceValue.Verbose else None,
            )
        )

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log what went wrong and where, without values: they may be source code.

        pygls would put up a message for every failed notification.
        """
        cause = sys.exc_info()[1] or error
        # Where pygls wraps an error, the type of what was raised begins the message.
        what = error.message.partition(":")[0] if isinstance(error, JsonRpcException) else ""
        frames = reversed(traceback.extract_tb(cause.__traceback__)[-3:])
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        doing = getattr(source, "__name__", source)
        logger.error("%s: %s at %s", doing, what or type(cause).__name__, where or "no known place")


def _is_same(given: object, token: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), token.encode())
