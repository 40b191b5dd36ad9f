"""``longllama pull`` in a process of its own, so that nothing waits for it but who wants to."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from lsp_server.engine.stdio import READ_LIMIT_BYTES, python_command

KEPT_LINES = 30
"""Of what it said before it failed."""
_STEP = re.compile(r"\s*(\d{1,3}) % (.*)")
_OWN_ERROR = "longllama: "


class PullFailed(Exception):  # noqa: N818 - most often a state of the network
    """The model could not be fetched; the message says why, and what to do."""


async def pull_model(model: str, folder: Path, report: Callable[[int, str], None]) -> None:
    """Fetch a model of the catalog. Cancelling the caller ends the process and what it started.

    What was fetched until then is kept, and used the next time.

    Args:
        model: its name.
        folder: where the process runs: no repository, as package managers take settings from there.
        report: told the share that is done, in percent, and the step.

    Raises:
        PullFailed: it could not be fetched.
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
        raise PullFailed(f"the process that fetches it cannot be started: {error}") from error
    try:
        said = await _listen(process, report)
        code = await process.wait()
    finally:
        if process.returncode is None:
            _end_family(process.pid)
            await process.wait()
    if code:
        raise PullFailed(_failure(said) or f"the process that fetches it ended with {code}")


async def _listen(process: asyncio.subprocess.Process, report: Callable[[int, str], None]) -> str:
    """Pass on the steps; the last of what else was said."""
    said: deque[str] = deque(maxlen=KEPT_LINES)
    assert process.stdout is not None
    async for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip()
        step = _STEP.fullmatch(line)
        if step is None:
            said.append(line)
        else:
            report(min(int(step[1]), 100), step[2])
    return "\n".join(said)


def _failure(said: str) -> str:
    """The error that ``longllama`` names, or all that there is."""
    _, is_named, error = said.partition(_OWN_ERROR)
    return (error if is_named else said).strip()


def _end_family(pid: int) -> None:
    """End a process and all that it started, such as package managers."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return
    for process in family:
        with suppress(psutil.Error):
            process.terminate()
