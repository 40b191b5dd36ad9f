"""Bodies of HTTP requests, with their validation, and of answers."""

import gzip
import json
from dataclasses import asdict
from typing import Any, TypeVar

import cattrs

from longllama_code import team_protocol as protocol
from longllama_code.team_protocol import KnownRepository

T = TypeVar("T")


class Refused(Exception):  # noqa: N818 - an answer
    """Raised for a request that is refused, with its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def plain_of(body: bytes) -> dict[str, Any]:
    """Return the object that a request holds.

    Raises:
        Refused: it is too large, or no JSON object.
    """
    if len(body) > protocol.MAX_BODY_BYTES:
        raise Refused(
            413, f"a request of {len(body)} bytes; send at most {protocol.MAX_BODY_BYTES}"
        )
    try:
        plain = json.loads(body)
    except ValueError:
        plain = None
    if not isinstance(plain, dict):
        raise Refused(400, "the request is no JSON object.")
    return plain


def structured(plain: Any, kind: type[T]) -> T:
    """Return a part of a request as the class that it stands for.

    Raises:
        Refused: its fields are others.
    """
    try:
        return cattrs.structure(plain, kind)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
        raise Refused(400, "the request has other fields than this version's.") from None


def json_of(plain: Any) -> bytes:
    """Return a whole answer."""
    return json.dumps(plain, separators=(",", ":")).encode()


def line_of(plain: Any) -> bytes:
    """Return one of an answer that comes line by line."""
    return json_of(plain) + b"\n"


def packed_of(known: KnownRepository) -> bytes:
    """Return the list of a repository's files, gzipped."""
    return gzip.compress(json_of(asdict(known)), 1)
