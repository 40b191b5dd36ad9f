"""JSON-RPC on stdin and stdout, for parent and child processes."""

# pyright: reportPrivateUsage=false
# This is the one module that uses private attributes of pygls' clients; they are those of 2.1.
# `connect_stdio` must set what pygls' own `start_io` sets.

import asyncio
import logging
import os
import sys
from typing import Any, BinaryIO

from pygls.client import JsonRPCClient
from pygls.io_ import run_async

logger = logging.getLogger(__name__)

READ_LIMIT_BYTES = 1 << 26


def python_command(module: str) -> list[str]:
    """Return a command that runs a module's ``main``, safely in any working directory.

    ``python -m`` looks for modules in the working directory first. Editors start servers in the
    workspace, whose ``argparse.py``, say, would then be run.
    """
    code = (
        "import sys; sys.path[:] = [folder for folder in sys.path if folder]; "
        f"from {module} import main; sys.exit(main())"
    )
    return [sys.executable, "-c", code]


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


def take_stdout() -> BinaryIO:
    """Reserve stdout for messages; whatever else is printed, even by C code, goes to stderr."""
    sys.stdout.flush()
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return messages


async def read_messages(client: JsonRPCClient, stream: asyncio.StreamReader) -> None:
    """Pass messages to the client until the stream ends."""
    try:
        await run_async(
            stop_event=client._stop_event,
            reader=stream,
            protocol=client.protocol,
            logger=logger,
            error_handler=client.report_server_error,
        )
    except (asyncio.IncompleteReadError, ConnectionError):
        logger.info("the connection ended in the middle of a message")


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
