"""Finds the engine that is shared, or starts it: of several servers that try at once, one does.

Who starts it holds a lock meanwhile, which the system takes from a process that dies. A socket
that nobody listens on is what a killed engine left, and makes room for the next.
"""

import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lsp_server.engine.options import ClientOptions
from lsp_server.engine.shared_endpoint import CannotShare, Place, peer_of

POLL_S = 0.02
CONNECT_TIMEOUT_S = 10.0
KEPT_S = 7 * 86_400.0


class GivenUp(Exception):  # noqa: N818 - what the caller wanted
    """The caller no longer wants an engine."""


class DiedAtStart(Exception):  # noqa: N818 - a state of the engine
    """The engine ended before it could be asked anything; the message says how."""

    def __init__(self, returncode: int, log: Path) -> None:
        super().__init__(f"see {log}")
        self.returncode = returncode


@dataclass(frozen=True)
class Meeting:
    """A connection to the shared engine."""

    socket: socket.socket
    pid: int | None
    """The engine's process, where the system tells it."""
    place: Place
    process: "subprocess.Popen[bytes] | None" = None
    """The same, where this process started it."""


def meet(options: ClientOptions, given_up: threading.Event) -> Meeting:
    """A connection to the engine of these options. Blocks; for a thread.

    Args:
        options: of the engine.
        given_up: set when nobody waits for the connection any more.

    Raises:
        CannotShare: there can be no shared engine here.
        DiedAtStart: it was started, and ended.
        GivenUp: ``given_up`` was set.
        OSError: it cannot be started.
    """
    place = Place.of(options)
    lock = FileLock(place.lock, timeout=0)
    while True:
        if (meeting := _connect(place)) is not None:
            return meeting
        with suppress(Timeout), lock:
            return _connect(place) or _start(options, place, given_up)
        _wait(given_up)


def _connect(place: Place) -> Meeting | None:
    """A connection, if somebody listens."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect(str(place.socket))
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
        raise CannotShare(f"{place.socket} belongs to somebody else")
    return Meeting(connection, peer.pid, place)


def _start(options: ClientOptions, place: Place, given_up: threading.Event) -> Meeting:
    place.socket.unlink(missing_ok=True)
    _sweep(place)
    process = _spawn(options, place)
    try:
        while True:
            meeting = _connect(place)
            if meeting is not None:
                break
            if process.poll() is not None:
                raise DiedAtStart(process.returncode, place.log)
            _wait(given_up)
    except BaseException:
        process.kill()  # nobody else can have found it
        process.wait()
        raise
    # It outlives this process, maybe; else it is waited for, so that no zombie is left.
    threading.Thread(target=process.wait, name="engine's end", daemon=True).start()
    return Meeting(meeting.socket, meeting.pid, place, process)


def _spawn(options: ClientOptions, place: Place) -> "subprocess.Popen[bytes]":
    """An engine of nobody's: no end of a window, terminal or pipe is its own end."""
    is_relative = Path(options.engine.model).is_dir()  # as it may be, where the server was started
    with place.log.open("wb") as log:
        place.log.chmod(0o600)
        return subprocess.Popen(
            options.command(place.socket),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=None if is_relative else place.folder,
            start_new_session=True,
        )


def _sweep(place: Place) -> None:
    """Remove what engines of other options left behind that nobody started for long."""
    for log in place.folder.glob("*.log"):
        other = Place(place.folder, log.stem)
        is_old = log.stat().st_mtime < time.time() - KEPT_S
        if is_old and other != place and not _is_served(other):
            for path in (other.socket, other.lock, log):
                path.unlink(missing_ok=True)


def _is_served(place: Place) -> bool:
    with suppress(OSError, CannotShare):
        if (meeting := _connect(place)) is None:
            return False
        meeting.socket.close()
    return True


def _wait(given_up: threading.Event) -> None:
    if given_up.is_set():
        raise GivenUp
    time.sleep(POLL_S)
