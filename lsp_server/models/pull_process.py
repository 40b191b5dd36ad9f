"""Running ``longllama pull`` in a separate process."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from lsp_server.engine.python_command import python_command
from lsp_server.engine.stdio import READ_LIMIT_BYTES

KEPT_LINES = 30
"""Number of lines of output that an error may quote."""
_STEP = re.compile(r"\s*(\d{1,3}) % (.*)")
_ERROR_PREFIX = "longllama: "


class PullFailed(Exception):  # noqa: N818 - most often a state of the network
    """The model could not be fetched; the message says why, and what to do."""


async def pull_model(model: str, folder: Path, on_progress: Callable[[int, str], None]) -> None:
    """Fetch a model of the catalog. Cancellation ends the process and its children.

    What was fetched so far is kept, and used the next time.

    Args:
        model: name of the model.
        folder: working directory of the process; not a repository, as package managers would read
            settings from there.
        on_progress: called with the progress in percent and the name of the step.

    Raises:
        PullFailed: the model could not be fetched.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *python_command("longllama_code.__main__"),
            *("pull", model),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=READ_LIMIT_BYTES,
            cwd=folder,
        )
    except OSError as error:
        raise PullFailed(f"`longllama pull` cannot be started: {error}") from error
    try:
        output = await _read_output(process, on_progress)
        code = await process.wait()
    finally:
        if process.returncode is None:
            _terminate_tree(process.pid)
            await process.wait()
    if code:
        raise PullFailed(_error_in(output) or f"`longllama pull` ended with {code}")


async def _read_output(
    process: asyncio.subprocess.Process, on_progress: Callable[[int, str], None]
) -> str:
    """Report progress, and return the last lines of other output."""
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    assert process.stdout is not None
    async for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip()
        step = _STEP.fullmatch(line)
        if step is None:
            lines.append(line)
        else:
            on_progress(min(int(step[1]), 100), step[2])
    return "\n".join(lines)


def _error_in(output: str) -> str:
    """Return the error that ``longllama`` printed, or else all output."""
    _, is_found, error = output.partition(_ERROR_PREFIX)
    return (error if is_found else output).strip()


def _terminate_tree(pid: int) -> None:
    """Terminate a process and its children, such as package managers."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return
    for process in family:
        with suppress(psutil.Error):
            process.terminate()
