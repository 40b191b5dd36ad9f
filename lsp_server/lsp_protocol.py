"""LSP on pygls, with an answer to every request, including malformed and untimely ones.

This is the one module of the server that uses private attributes of pygls; they are those of 2.1.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import attrs
from lsprotocol import types
from pygls import uris
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
    JsonRPCResponseMessage,
    LanguageServerProtocol,
)

from lsp_server.receiving.copilot_clients import count_utf16
from lsp_server.receiving.framing import parse
from lsp_server.receiving.lenient import LeftOut, NotUnderstoodError, decode

logger = logging.getLogger(__name__)

MessageId = str | int
Json = dict[str, Any]
MAX_LOGGED = 1000
"""Most places in messages that are logged as not understood."""

OWN_HANDLERS = (
    types.EXIT,
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
)
"""Methods whose built-in handlers are removed, so that only the server's own run.

pygls' handler of ``exit`` ends the process from within. Its handlers of documents split lines at
form feeds and U+2028, where LSP does not, rebuild the whole text at every keystroke, and leave a
future behind for every notification.
"""


@dataclass(frozen=True)
class _Malformed:
    """Message that cannot be decoded."""

    data: Json
    error: JsonRpcException
    place: str = ""
    """Path of the part that was not understood."""


class Protocol(LanguageServerProtocol):
    """pygls' protocol, strict about what may be sent when, and lenient about how it is written."""

    is_initialized = False
    """Whether a client was accepted by ``initialize``. Nothing else is handled before."""
    malformed_root = ""
    """The root in ``initialize``, if it cannot be parsed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.on_not_understood: Callable[[Json, str], None] = _ignore
        """Called with a notification that is dropped, and the path of what was not understood."""
        self._logged: set[str] = set()
        for method in OWN_HANDLERS:
            del self.fm.builtin_features[method]

    @property
    def was_shut_down(self) -> bool:
        """Whether ``shutdown`` was handled."""
        return self._shutdown

    def receive(self, body: bytes) -> None:
        """Handle the message, or the list of messages, in a body. Raises nothing."""
        try:
            received = parse(body)
        except (ValueError, RecursionError) as error:
            name = type(error).__name__
            logger.error("a message of %d bytes is no JSON, and was skipped: %s", len(body), name)
            return
        for data in cast("list[Any]", received) if isinstance(received, list) else [received]:
            try:
                self.handle_message(self.structure_message(data))
            except Exception as error:
                self._server.report_server_error(error, JsonRpcException)

    def structure_message(self, data: Any) -> Any:
        """Decode a message, to `_Malformed` if it is invalid.

        pygls would raise, and leave a request without an answer.
        """
        if not isinstance(data, dict):
            return _Malformed({}, JsonRpcInvalidRequest("a message is no object"))
        data = _without_nulls(cast("Json", data))
        try:
            kind = self._kind(data)
            message, left_out = _decode(self._converter, data, kind)
        except NotUnderstoodError as error:
            return _Malformed(data, JsonRpcInvalidParams(f"Invalid Params: {error}"), error.path)
        except Exception as error:
            name = type(error).__name__
            return _Malformed(data, JsonRpcInvalidRequest(f"Invalid Request: {name}"))
        self._log_once(data, left_out)
        if "method" in data and "id" in data and not hasattr(message, "id"):
            error = JsonRpcInvalidRequest(f"{data['method']} is a notification; send it without id")
            return _Malformed(data, error)
        return message

    def handle_message(self, message: Any) -> None:
        """Answer what pygls would leave unanswered, and pass the rest to it."""
        if isinstance(message, _Malformed):
            self._reject(message)
        elif self._shutdown and hasattr(message, "method") and hasattr(message, "id"):
            self._refuse(message.id, JsonRpcInvalidRequest("the server was shut down"))
        else:
            super().handle_message(message)

    def _kind(self, data: Json) -> type | None:
        """Return the type of a message; None for methods and results that are not LSP's."""
        if "method" in data:
            method = data["method"]
            if not isinstance(method, str):
                raise TypeError("method is no text")
            return self.get_message_type(method)
        if "error" in data:
            return types.ResponseErrorMessage
        return self._result_types.pop(data["id"], None)

    def _log_once(self, data: Json, left_out: Iterable[LeftOut]) -> None:
        """Log what was left out of a message, once for each place."""
        method = str(data.get("method", "an answer"))
        for path, found in left_out:
            place = f"{method}: {re.sub(r'[0-9]+', '', path)}"
            if place not in self._logged and len(self._logged) < MAX_LOGGED:
                self._logged.add(place)
                logger.warning("%s: %s was not understood and left out: %s", method, path, found)

    def _reject(self, message: _Malformed) -> None:
        """Log a message that cannot be decoded, and end what waits for it."""
        data, error = message.data, message.error
        logger.error("%s was refused: %s", data.get("method", "a message"), error.message)
        msg_id = data.get("id")
        if not isinstance(msg_id, int | str | float):
            if "method" in data:
                self.on_not_understood(data, message.place)
        elif "method" in data:
            self._refuse(cast("Any", msg_id), error)
        else:
            self._handle_response(cast("Any", msg_id), None, error.to_response_error())

    def _handle_request(self, msg_id: MessageId, method_name: str, params: Any) -> None:
        """Handle a request, unless it is untimely."""
        if self.is_initialized and method_name == types.INITIALIZE:
            self._refuse(msg_id, JsonRpcInvalidRequest("the server is initialized already"))
        elif not self.is_initialized and method_name != types.INITIALIZE:
            self._refuse(msg_id, JsonRpcServerNotInitialized(f"{method_name} before initialize"))
        else:
            if method_name == types.INITIALIZE:
                self._set_malformed_root_aside(params)
                count_utf16(params)
            super()._handle_request(msg_id, method_name, params)

    def _set_malformed_root_aside(self, params: Any) -> None:
        """Take a root out that pygls would raise at."""
        try:
            uris.urlparse(params.root_uri or uris.from_fs_path(params.root_path or "/") or "")
        except ValueError:
            self.malformed_root = str(params.root_uri or params.root_path)
            params.root_uri = params.root_path = None

    def _handle_notification(self, method_name: str, params: Any) -> None:
        """Handle a notification, or drop one that is untimely."""
        if self.is_initialized or method_name in (types.EXIT, types.CANCEL_REQUEST):
            super()._handle_notification(method_name, params)

    def _refuse(self, msg_id: MessageId, error: JsonRpcException) -> None:
        self._send_response(msg_id, None, error.to_response_error())

    def _send_response(
        self, msg_id: Any, result: Any = None, error: types.ResponseError | None = None
    ) -> None:
        """Answer without the traceback that pygls attaches to errors: it belongs in the log."""
        if error is not None:
            error.data = None
        super()._send_response(msg_id, result, error)


def _ignore(_: Json, __: str) -> None:
    """Do nothing about a message that is dropped."""


def _without_nulls(data: Json) -> Json:
    """Return a message without ``id`` and ``error`` that are null, which some clients send."""
    data = {
        key: value for key, value in data.items() if key not in ("id", "error") or value is not None
    }
    return {**data, "jsonrpc": "2.0"}


def _decode(converter: Any, data: Json, kind: type | None) -> tuple[Any, list[LeftOut]]:
    """Return a message as an object of a type; of pygls' general types if it is None."""
    if kind is None:
        return _general_message(data), []
    params = attrs.fields_dict(kind).get("params")
    has_fields = params is not None and params.type is not None and attrs.has(params.type)
    if has_fields and data.get("params") in (None, []):
        data = {**data, "params": {}}
    return decode(converter, data, kind)


def _general_message(data: Json) -> Any:
    """Return a message that is not LSP's; its parameters may be missing, and stay plain values."""
    if "method" not in data:
        return JsonRPCResponseMessage(data["id"], "2.0", data.get("result"))
    method, params = data["method"], data.get("params")
    if "id" in data:
        return JsonRPCRequestMessage(data["id"], method, "2.0", params)
    return JsonRPCNotification(method, "2.0", params)
