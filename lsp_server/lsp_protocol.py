"""LSP on pygls, with an answer to every request, including malformed and untimely ones.

This is the one module of the server that uses private attributes of pygls; they are those of 2.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol

MessageId = str | int

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

    msg_id: object
    """Id of a request; None for a notification or a response."""
    error: JsonRpcException


class Protocol(LanguageServerProtocol):
    """pygls' protocol, made strict about what may be sent when."""

    is_initialized = False
    """Whether a client was accepted by ``initialize``. Nothing else is handled before."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        for method in OWN_HANDLERS:
            del self.fm.builtin_features[method]

    @property
    def was_shut_down(self) -> bool:
        """Whether ``shutdown`` was handled."""
        return self._shutdown

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Decode a message, to `_Malformed` if it is invalid.

        pygls would raise, and leave a request without an answer.
        """
        try:
            message = super().structure_message(data)
        except JsonRpcException as error:
            return _Malformed(data.get("id") if "method" in data else None, error)
        if "jsonrpc" in data and _is_request(data) and not hasattr(message, "id"):
            error = JsonRpcInvalidRequest(f"{data['method']} is a notification; send it without id")
            return _Malformed(data["id"], error)
        return message

    def handle_message(self, message: Any) -> None:
        """Answer what pygls would leave unanswered, and pass the rest to it."""
        if isinstance(message, dict):  # pygls does not decode it then
            message = _Malformed(message.get("id"), JsonRpcInvalidRequest("jsonrpc is missing"))
        if isinstance(message, _Malformed):
            self._server.report_server_error(message.error, JsonRpcException)
            if isinstance(message.msg_id, int | str):
                self._refuse(message.msg_id, message.error)
        elif self._shutdown and hasattr(message, "method") and hasattr(message, "id"):
            self._refuse(message.id, JsonRpcInvalidRequest("the server was shut down"))
        elif hasattr(message, "jsonrpc"):
            super().handle_message(message)

    def _handle_request(self, msg_id: MessageId, method_name: str, params: Any) -> None:
        """Handle a request, unless it is untimely."""
        if self.is_initialized and method_name == types.INITIALIZE:
            self._refuse(msg_id, JsonRpcInvalidRequest("the server is initialized already"))
        elif not self.is_initialized and method_name != types.INITIALIZE:
            self._refuse(msg_id, JsonRpcServerNotInitialized(f"{method_name} before initialize"))
        else:
            super()._handle_request(msg_id, method_name, params)

    def _handle_notification(self, method_name: str, params: Any) -> None:
        """Handle a notification, or drop one that is untimely."""
        if self.is_initialized or method_name in (types.EXIT, types.CANCEL_REQUEST):
            super()._handle_notification(method_name, params)

    def _refuse(self, msg_id: MessageId, error: JsonRpcException) -> None:
        self._send_response(msg_id, None, error.to_response_error())

    def _send_response(
        self, msg_id: MessageId, result: Any = None, error: types.ResponseError | None = None
    ) -> None:
        """Answer without the traceback that pygls attaches to errors: it belongs in the log."""
        if error is not None:
            error.data = None
        super()._send_response(msg_id, result, error)


def _is_request(data: Mapping[str, Any]) -> bool:
    return "id" in data and "method" in data
