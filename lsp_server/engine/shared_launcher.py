"""Connects to the shared engine, or starts it; of several servers that try at once, one starts it.

The server that starts it holds a lock, which the system frees if that server dies. An address where
no engine listens was left by one that was killed, and is replaced.
"""

import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from longllama_code.paths import CACHE_VARIABLE, cache_path
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.shared_endpoint import Endpoint
from lsp_server.engine.shared_transport import CannotShare, patiently

POLL_S = 0.02
LOG_AGE_S = 7 * 86_400.0
"""Age at which the files of an engine that no longer runs are removed."""


class LaunchCancelled(Exception):  # noqa: N818 - what the caller wanted
    """The caller no longer wants an engine."""


class DiedAtStart(Exception):  # noqa: N818 - a state of the engine
    """The engine ended before it answered anything; the message names its log."""

    def __init__(self, returncode: int, log: Path) -> None:
        super().__init__(f"see {log}")
        self.returncode = returncode


@dataclass(frozen=True)
class SharedEngine:
    """Connection to a shared engine."""

    socket: socket.socket
    pid: int | None
    """The engine's process; None: the system does not say."""
    endpoint: Endpoint
    proof: bytes = b""
    """What the engine sends before any message."""
    process: "subprocess.Popen[bytes] | None" = None
    """The engine's process, if this process started it."""


def connect_or_launch(options: ClientOptions, cancelled: threading.Event) -> SharedEngine:
    """Connect to the engine with these options, and start it if it does not run.

    Blocks, so call it on a thread.

    Args:
        options: options of the engine.
        cancelled: set by the caller to give up.

    Raises:
        CannotShare: no engine can be shared here.
        DiedAtStart: it was started, and ended.
        LaunchCancelled: ``cancelled`` was set.
        OSError: it cannot be started.
    """
    endpoint = Endpoint.for_options(options)
    lock = FileLock(endpoint.lock, timeout=0)
    while True:
        if (engine := _connect(endpoint)) is not None:
            return engine
        with suppress(Timeout), lock:
            return _connect(endpoint) or _start(options, endpoint, cancelled)
        _wait(cancelled)


def _connect(endpoint: Endpoint) -> SharedEngine | None:
    """Connect, if an engine listens."""
    reached = endpoint.transport.connect(endpoint.address)
    if reached is None:
        return None
    return SharedEngine(reached.socket, reached.pid, endpoint, reached.proof)


def _start(options: ClientOptions, endpoint: Endpoint, cancelled: threading.Event) -> SharedEngine:
    _remove(endpoint.address)
    _sweep(endpoint)
    process = _spawn(options, endpoint)
    try:
        while True:
            engine = _connect(endpoint)
            if engine is not None:
                break
            if process.poll() is not None:
                raise DiedAtStart(process.returncode, endpoint.log)
            _wait(cancelled)
    except BaseException:
        process.kill()  # no other server can have connected
        process.wait()
        raise
    # The engine may outlive this process. If it does not, waiting for it leaves no zombie.
    threading.Thread(target=process.wait, name="engine's end", daemon=True).start()
    return replace(engine, process=process)


def _spawn(options: ClientOptions, endpoint: Endpoint) -> "subprocess.Popen[bytes]":
    """Start an engine that outlives this window, its terminal and its pipes."""
    is_relative = Path(
        options.engine.model
    ).is_dir()  # to the folder that the server was started in
    with endpoint.log.open("wb") as log:
        endpoint.log.chmod(0o600)
        return subprocess.Popen(
            options.command(endpoint.address),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=None if is_relative else endpoint.address.parent,
            start_new_session=True,  # on Windows without effect
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            # The same folder for the engine, which runs in another one and may have no home.
            env={**os.environ, CACHE_VARIABLE: str(cache_path())},
        )


def _remove(address: Path) -> None:
    """Remove an address where no engine listens.

    Raises:
        CannotShare: that is not possible.
    """
    try:
        patiently(lambda: address.unlink(missing_ok=True))
    except OSError as error:
        raise CannotShare(f"{address} cannot be replaced: {error}") from error


def _sweep(endpoint: Endpoint) -> None:
    """Remove the files of other engines that have not been started for ``LOG_AGE_S``."""
    for log in endpoint.address.parent.glob("*.log"):
        other = Endpoint(log.with_suffix(endpoint.address.suffix))
        is_old = log.stat().st_mtime < time.time() - LOG_AGE_S
        if is_old and other != endpoint and not _is_served(other):
            for path in (other.address, other.lock, log):
                with suppress(OSError):  # Windows removes no file that is in use
                    path.unlink(missing_ok=True)


def _is_served(endpoint: Endpoint) -> bool:
    with suppress(OSError, CannotShare):
        if (engine := _connect(endpoint)) is None:
            return False
        engine.socket.close()
    return True


def _wait(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise LaunchCancelled
    time.sleep(POLL_S)
