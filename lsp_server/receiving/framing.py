"""Messages in a stream of bytes: headers, an empty line, and a body, which is JSON.

Names of headers have any case and spacing. A line that is no header is skipped, so a stream whose
framing was broken is followed again from the next header on.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any, Protocol

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 30
"""Largest body that is read. A greater length is a mistake: to wait for so much is to hang."""
CHUNK_BYTES = 1 << 20
MAX_DIGITS = 4000
"""Digits of an integer; Python refuses to read one of more than 4300."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Where a length was too short, the rest of the body stands in front of the next header.
_CONTENT_LENGTH = re.compile(rb"(?:^|[}\]])[ \t]*content-length[ \t]*:[ \t]*\+?(\d+)[ \t]*$", re.I)


class Reader(Protocol):
    """Stream of bytes."""

    def readline(self) -> Awaitable[bytes]:
        """Return the next line with its end; empty at the end of the stream."""
        ...

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """Return the next ``n`` bytes; fewer, or an error, at the end of the stream."""
        ...


async def read_bodies(stop: Event, reader: Reader, receive: Callable[[bytes], None]) -> None:
    """Pass the body of each message to ``receive``, until ``stop`` is set or the stream ends.

    Raises:
        asyncio.IncompleteReadError: the stream ends in the middle of a body.
    """
    length = 0
    while not stop.is_set():
        try:
            line = await reader.readline()
        except ValueError:  # of an asyncio.StreamReader, which drops the line then
            logger.warning("a header is too long, and was skipped")
            continue
        if not line:
            return
        if line.strip():
            length = content_length(line) or length
        elif length:
            body = await _read(reader, length)
            length = 0
            receive(body)


def content_length(line: bytes) -> int | None:
    """Return the length that a header tells; None if it is another header, or impossible."""
    found = _CONTENT_LENGTH.search(line.removeprefix(_BYTE_ORDER_MARK).rstrip())
    if found is None:
        return None
    digits = found[1].lstrip(b"0") or b"0"
    if len(digits) > len(str(MAX_BODY_BYTES)) or int(digits) > MAX_BODY_BYTES:
        shown = digits[:20].decode()
        logger.warning("Content-Length %s is over %d, and was skipped", shown, MAX_BODY_BYTES)
        return None
    return int(digits)


def without_headers(message: bytes) -> bytes:
    """Return a websocket's message without headers, which it needs not have and some send."""
    if not message[:15].lower().startswith(b"content-"):
        return message
    return re.split(rb"\r?\n\r?\n", message, maxsplit=1)[-1]


def parse(body: bytes) -> Any:
    """Return the JSON of a body, in UTF-8, 16 or 32; bytes that are no text become U+FFFD.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(body, parse_int=_integer)
    except UnicodeDecodeError:
        logger.warning("a message is not UTF-8; bytes that are no text were replaced")
        return json.loads(body.decode("utf-8", "replace"), parse_int=_integer)


async def _read(reader: Reader, n_bytes: int) -> bytes:
    """Read a body by chunks, so that a wrong length takes no memory."""
    body = bytearray()
    while len(body) < n_bytes:
        wanted = min(CHUNK_BYTES, n_bytes - len(body))
        chunk = await reader.readexactly(wanted)
        body += chunk
        if len(chunk) < wanted:
            raise asyncio.IncompleteReadError(bytes(body), n_bytes)
    return bytes(body)


def _integer(digits: str) -> int:
    """Return an integer of JSON; one that Python does not read becomes a large one."""
    if len(digits) <= MAX_DIGITS:
        return int(digits)
    return -(1 << 62) if digits.startswith("-") else 1 << 62
