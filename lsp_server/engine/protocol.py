"""JSON-RPC between a server and an engine, over pygls' protocol.

Messages are plain JSON; each side converts them to the dataclasses of ``longllama_code.protocol``.
A client's first request is ``HELLO``. Files are sent as texts with a name, so server and engine
need not share a file system.
"""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import cattrs
from lsprotocol import converters, types
from pygls.protocol import JsonRPCProtocol
from pygls.protocol.json_rpc import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
    JsonRPCResponseMessage,
)

from lsp_server import __version__

VERSION = f"{__version__}/8"
"""Version that both sides must share; its last part counts changes of the messages."""

HELLO = "engine/hello"
REMEMBER = "engine/remember"
DEFINE = "engine/define"
"""Take in what files define before they are remembered."""
FORGET = "engine/forget"
COMPLETE = "engine/complete"
PREPARE = "engine/prepare"
"""Process the beginning of a file's prompts before a completion is requested."""
ENCODE = "engine/encodeDefinitions"
"""Encode some definitions in advance, where requests want them as memory."""
STATUS = "engine/status"
CLEAR_STORE = "engine/clearStore"
PARTIAL_RESULT = "engine/soFar"
"""Notification of the ``text`` generated so far for the request with this ``number``."""
READY = "engine/ready"
FAILED = "engine/failed"

T = TypeVar("T")


@dataclass(frozen=True)
class Hello:
    """Parameters of the first request, which introduces a client."""

    version: str
    """``VERSION`` of the client."""
    name: str = ""
    """Name of the client in ``status``."""
    idle_s: float = 0.0
    """Time that the engine stays after this client, if it is the last to leave."""


_values = cattrs.Converter()


class EngineProtocol(JsonRPCProtocol):
    """pygls' JSON-RPC, with cancellation as the only typed message."""

    def get_message_type(self, method: str) -> type[Any] | None:
        """Return the type of ``$/cancelRequest``; other parameters stay dictionaries."""
        return types.CancelNotification if method == types.CANCEL_REQUEST else None


def engine_converter() -> cattrs.Converter:
    """Return a converter that leaves parameters and results as plain JSON."""
    converter = converters.get_converter()
    for message in (JsonRPCRequestMessage, JsonRPCResponseMessage, JsonRPCNotification):
        converter.register_structure_hook(message, _keep)
    return converter


def to_plain(value: Any) -> dict[str, Any]:
    """Convert a dataclass to a dictionary."""
    return asdict(value)


def from_plain(value: Any, kind: type[T]) -> T:
    """Convert a dictionary to a dataclass."""
    return _values.structure(value, kind)


def _keep(fields: dict[str, Any], message: type[T]) -> T:
    return message(**fields)
