"""Connects to the shared engine, or starts it; of several servers that try at once, one starts it.

The server that starts it holds a lock, which the system frees if that server dies. A socket without
a listener was left by an engine that was killed, and is replaced.
"""

import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from longllama_code.paths import CACHE_VARIABLE, cache_path
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.shared_endpoint import CannotShare, Endpoint, peer_of

POLL_S = 0.02
CONNECT_TIMEOUT_S = 10.0
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
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect(str(endpoint.socket))
        connection.settimeout(None)
        peer = peer_of(connection)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    if peer.is_other_user:
        connection.close()
        raise CannotShare(f"{endpoint.socket} belongs to somebody else")
    return SharedEngine(connection, peer.pid, endpoint)


def _start(options: ClientOptions, endpoint: Endpoint, cancelled: threading.Event) -> SharedEngine:
    endpoint.socket.unlink(missing_ok=True)
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
    return SharedEngine(engine.socket, engine.pid, endpoint, process)


def _spawn(options: ClientOptions, endpoint: Endpoint) -> "subprocess.Popen[bytes]":
    """Start an engine that outlives this window, its terminal and its pipes."""
    is_relative = Path(
        options.engine.model
    ).is_dir()  # to the folder that the server was started in
    with endpoint.log.open("wb") as log:
        endpoint.log.chmod(0o600)
        return subprocess.Popen(
            options.command(endpoint.socket),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=None if is_relative else endpoint.folder,
            start_new_session=True,
            # The same folder for the engine, which runs in another one and may have no home.
            env={**os.environ, CACHE_VARIABLE: str(cache_path())},
        )


def _sweep(endpoint: Endpoint) -> None:
    """Remove the files of other engines that have not been started for ``LOG_AGE_S``."""
    for log in endpoint.folder.glob("*.log"):
        other = Endpoint(endpoint.folder, log.stem)
        is_old = log.stat().st_mtime < time.time() - LOG_AGE_S
        if is_old and other != endpoint and not _is_served(other):
            for path in (other.socket, other.lock, log):
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
