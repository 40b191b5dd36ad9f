"""Transport between servers and the engine that they share: what every kind of it offers.

An engine is found by its address: a file in a folder that only its user can open. The file's suffix
says of which kind it is. Whatever is connected, the same messages follow.
"""

import socket
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from longllama_code.paths import user_id

CONNECT_TIMEOUT_S = 10.0
BACKLOG = 128
PATIENCE_S = 2.0
"""Time in which another process closes a file that it reads."""
POLL_S = 0.02

T = TypeVar("T")


class CannotShare(Exception):  # noqa: N818 - a state of this machine
    """No engine can be shared here; the message says why."""


@dataclass(frozen=True)
class Listening:
    """Socket that an engine listens on, and what is said on it before any message."""

    socket: socket.socket
    token: bytes = b""
    """What a connection begins with; empty: the system lets only the user connect."""
    proof: bytes = b""
    """What the engine sends once it has read the token."""


@dataclass(frozen=True)
class Reached:
    """Connection to who listens at an engine's address; the token is sent."""

    socket: socket.socket
    pid: int | None = None
    """The engine's process; None: the system does not say."""
    proof: bytes = b""
    """What the engine sends before any message. Who sends something else is no engine."""


class Transport(Protocol):
    """Way to listen and to connect."""

    def address(self, name: str) -> Path:
        """Return the address of an engine's name; create its folder if need be.

        Raises:
            CannotShare: there is no usable folder for it.
        """
        ...

    def listen(self, address: Path) -> Listening:
        """Listen at an address where nobody listens.

        Raises:
            OSError: that is not possible.
        """
        ...

    def connect(self, address: Path) -> Reached | None:
        """Connect to the engine at an address; None: none listens there.

        Raises:
            CannotShare: another user's process listens there.
            OSError: the connection failed.
        """
        ...

    def is_stranger(self, connection: socket.socket) -> bool:
        """Whether the other end of a connection is known to be another user."""
        ...


def own_folder(folder: Path) -> Path:
    """Return a folder that only the user can open; create it if need be.

    Raises:
        CannotShare: it cannot be created, or belongs to somebody else.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != user_id():
            raise CannotShare(f"{folder} belongs to somebody else; remove it")
        folder.chmod(0o700)
    except OSError as error:
        raise CannotShare(f"{folder} cannot be used: {error}") from error
    return folder


def patiently(act: Callable[[], T]) -> T:
    """Do something with a file, which Windows refuses while another process has it open.

    Raises:
        OSError: it is not possible, also a while later.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except PermissionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


def listening_socket(family: int, address: Any) -> socket.socket:
    """Return a socket that listens at an address, alone."""
    listening = socket.socket(family)
    try:
        # Windows lets another program listen at the same address, unless told not to.
        if (alone := getattr(socket, "SO_EXCLUSIVEADDRUSE", None)) is not None:
            listening.setsockopt(socket.SOL_SOCKET, alone, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def connected_socket(family: int, address: Any, first: bytes = b"") -> socket.socket | None:
    """Connect, and send the first bytes; return None if nobody listens.

    Raises:
        OSError: the connection failed otherwise.
    """
    connection = socket.socket(family)
    try:
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect(address)
        connection.sendall(first)
        connection.settimeout(None)
    except (FileNotFoundError, ConnectionError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection
