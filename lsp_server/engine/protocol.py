"""JSON-RPC between a server and an engine: pygls' protocol, plain dictionaries.

Numbers, texts, lists and dictionaries cross the border; each side turns them into the dataclasses
of ``longllama_code.protocol``. Nothing here depends on both being on one machine: files are texts
with a name, and who asks has said ``HELLO`` first.
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

VERSION = f"{__version__}/3"
"""What both sides must have in common; its last part counts changes of these messages."""

HELLO = "engine/hello"
REMEMBER = "engine/remember"
FORGET = "engine/forget"
COMPLETE = "engine/complete"
PREPARE = "engine/prepare"
"""Read for a file what its prompts begin with, while nobody asks."""
STATUS = "engine/status"
CLEAR_STORE = "engine/clearStore"
SO_FAR = "engine/soFar"
"""What is written of an answer: the ``number`` of its request, and the ``text``."""
READY = "engine/ready"
FAILED = "engine/failed"

T = TypeVar("T")


@dataclass(frozen=True)
class Hello:
    """What comes first: who asks."""

    version: str
    """``VERSION`` of the side that asks."""
    name: str = ""
    """What ``status`` calls it."""
    idle_s: float = 0.0
    """How long the engine may stay once it has left, where it is the last."""


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
