"""JSON-RPC on stdin and stdout, for parent and child processes."""

# pyright: reportPrivateUsage=false
# This is the one module that uses private attributes of pygls' clients; they are those of 2.1.
# `connect_stdio` must set what pygls' own `start_io` sets.

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, BinaryIO

from pygls.client import JsonRPCClient
from pygls.io_ import run_async

logger = logging.getLogger(__name__)

READ_LIMIT_BYTES = 1 << 26


async def connect_stdio(
    client: JsonRPCClient, *command: str, **options: Any
) -> asyncio.subprocess.Process:
    """Start ``command``, connect the client to it, and return the process.

    pygls' own ``start_io`` pipes stderr without reading it, so a child that writes much there
    blocks. Here the child inherits stderr unless ``options`` say otherwise.
    """
    options.setdefault("limit", READ_LIMIT_BYTES)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, **options
    )
    assert process.stdin is not None
    assert process.stdout is not None
    client._server = process
    client.protocol.set_writer(SafeWriter(process.stdin))
    client._async_tasks += [
        asyncio.create_task(read_messages(client, process.stdout)),
        asyncio.create_task(client._server_exit()),
    ]
    return process


class StdinReader:
    """Reader of stdin that the end of the process does not wait for.

    Reading blocks a thread, and Python waits for the threads of its executors: after Ctrl-C, the
    process would stay until the other side closes the pipe. It has a buffer of its own, as closing
    that of ``sys.stdin`` waits as well.
    """

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
        self._wanted: SimpleQueue[tuple[Callable[[], bytes], asyncio.Future[bytes]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="stdin", daemon=True).start()

    def readline(self) -> Awaitable[bytes]:
        """Return the next line with its end; empty at the end of the stream."""
        return self._read(self._stream.readline)

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """Return the next ``n`` bytes; fewer at the end of the stream."""
        return self._read(partial(self._stream.read, n))

    def _read(self, call: Callable[[], bytes]) -> Awaitable[bytes]:
        future = asyncio.get_running_loop().create_future()
        self._wanted.put((call, future))
        return future

    def _serve(self) -> None:
        while True:
            call, future = self._wanted.get()
            try:
                data = call()
            except OSError:  # the terminal is gone
                data = b""
            with suppress(RuntimeError):  # the loop has ended
                future.get_loop().call_soon_threadsafe(_set_result, future, data)


def _set_result(future: "asyncio.Future[bytes]", data: bytes) -> None:
    if not future.done():
        future.set_result(data)


def take_stdout() -> BinaryIO:
    """Reserve stdout for messages; whatever else is printed, even by C code, goes to stderr."""
    sys.stdout.flush()
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return messages


async def read_messages(client: JsonRPCClient, stream: asyncio.StreamReader) -> None:
    """Pass messages to the client until the stream ends, breaks, or is no stream of messages."""
    try:
        await run_async(
            stop_event=client._stop_event,
            reader=stream,
            protocol=client.protocol,
            logger=logger,
            error_handler=client.report_server_error,
        )
    except (asyncio.IncompleteReadError, OSError, ValueError) as error:
        logger.info("a connection ended: %s", type(error).__name__)


def stop_client(client: JsonRPCClient, reason: str) -> None:
    """Mark a client as stopped, and end its pending requests with `RuntimeError`."""
    client._stop_event.set()
    for response in list(client.protocol._request_futures.values()):
        if not response.done():
            response.set_exception(RuntimeError(reason))


class SafeWriter:
    """Stream that drops what is written after the other side has died."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Send bytes, unless the stream is closing."""
        if not self._stream.is_closing():
            self._stream.write(data)

    def close(self) -> None:
        """End the stream."""
        self._stream.close()
