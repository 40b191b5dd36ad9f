"""What all requests for text have in common: the body's size, the file's name, the client's end."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request

from lsp_server.documents.uri_paths import paths_in
from lsp_server.http.asked import MAX_PATH_CHARS
from lsp_server.http.errors import Refused, invalid
from lsp_server.http.fields import Fields, parsed

MAX_BODY_BYTES = 4 << 20
BODY_TIMEOUT_S = 30.0
"""Time that a client may take to send a body."""
FILE, LANGUAGE, AUTOMATIC = "file", "language", "automatic"
"""Fields of our own: the file's path, its language, whether typing caused the request."""
FILE_HEADER = "x-longllama-file"
MAX_TOKENS = 1 << 31
T = TypeVar("T")


class ClientGone(Exception):  # noqa: N818 - nobody is left who could be told
    """The client has closed the connection."""


async def fields_of(request: Request) -> Fields:
    """Return the fields of a request's body.

    Raises:
        Refused: the body is too large, comes too slowly, or is no JSON object.
        ClientGone: the connection ended in the middle of it.
    """
    try:
        return parsed(await asyncio.wait_for(_body(request), BODY_TIMEOUT_S))
    except asyncio.TimeoutError:
        message = f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s; send it at once."
        raise Refused(408, "invalid_request_error", message) from None
    except ClientDisconnect:
        raise ClientGone from None


async def _body(request: Request) -> bytes:
    """Return the body, of which no more is kept than is allowed."""
    told = request.headers.get("content-length", "0")
    n_bytes = int(told) if told.isascii() and told.isdigit() and len(told) < 20 else 0
    chunks: list[bytes] = []
    n_read = 0
    if n_bytes <= MAX_BODY_BYTES:
        async for chunk in request.stream():
            n_read += len(chunk)
            if n_read > MAX_BODY_BYTES:
                break
            chunks.append(chunk)
    if max(n_bytes, n_read) > MAX_BODY_BYTES:
        size = f"{n_bytes} bytes" if n_bytes > MAX_BODY_BYTES else "too large"
        message = (
            f"the body is {size}; send {MAX_BODY_BYTES} bytes at most, of text near the cursor."
        )
        raise Refused(413, "invalid_request_error", message, headers={"Connection": "close"})
    return b"".join(chunks)


def file_of(request: Request, fields: Fields) -> str:
    """Return the path that a request names as its file; empty if it names none.

    Raises:
        Refused: it cannot be a path.
    """
    # Headers are bytes, which were decoded as Latin-1.
    header = request.headers.get(FILE_HEADER, "").encode("latin-1").decode("utf-8", "replace")
    name = fields.text(FILE) or unquote(header)
    if name[:5].lower() == "file:":
        name = next(iter(paths_in(name)), "")
    if not is_path(name):
        raise invalid(
            f"{FILE!r} is no path; send one of {MAX_PATH_CHARS} characters at most,"
            " absolute or below the workspace folder.",
            FILE,
        )
    return name


def is_path(name: str) -> bool:
    """Whether a name may be that of a file."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return "\0" not in name and len(name) <= MAX_PATH_CHARS


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of some work, which is cancelled once the client has gone.

    Raises:
        ClientGone: the client has closed the connection.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_end(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _wait_for_end(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
