"""JSON-RPC between the server and the engine process: pygls' protocol, plain dictionaries.

Numbers, texts, lists and dictionaries cross the border; each side turns them into the dataclasses
of ``longllama_code.protocol``.
"""

from dataclasses import asdict
from typing import Any, TypeVar

import cattrs
from lsprotocol import converters, types
from pygls.protocol import JsonRPCProtocol
from pygls.protocol.json_rpc import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
    JsonRPCResponseMessage,
)

REMEMBER = "engine/remember"
FORGET = "engine/forget"
COMPLETE = "engine/complete"
STATUS = "engine/status"
READY = "engine/ready"
FAILED = "engine/failed"

T = TypeVar("T")

_values = cattrs.Converter()


class EngineProtocol(JsonRPCProtocol):
    """pygls' JSON-RPC, which knows one message of its own: the cancellation of a request."""

    def get_message_type(self, method: str) -> type[Any] | None:
        """The type of ``$/cancelRequest``; everything else stays a dictionary."""
        return types.CancelNotification if method == types.CANCEL_REQUEST else None


def engine_converter() -> cattrs.Converter:
    """A converter that leaves the parameters and results of our messages as they are."""
    converter = converters.get_converter()
    for message in (JsonRPCRequestMessage, JsonRPCResponseMessage, JsonRPCNotification):
        converter.register_structure_hook(message, _keep)
    return converter


def to_plain(value: Any) -> dict[str, Any]:
    """A dataclass as a dictionary."""
    return asdict(value)


def from_plain(value: Any, kind: type[T]) -> T:
    """A dictionary as a dataclass."""
    return _values.structure(value, kind)


def _keep(fields: dict[str, Any], message: type[T]) -> T:
    return message(**fields)
