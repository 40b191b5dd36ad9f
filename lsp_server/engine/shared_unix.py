"""Shared engines behind Unix sockets: the system says which user is at the other end."""

import os
import socket
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lsp_server.engine.shared_transport import (
    CannotShare,
    Listening,
    Reached,
    connected_socket,
    listening_socket,
    own_folder,
)

MAX_PATH_BYTES = 100
"""Length of a socket's path that every system allows; macOS 104, Linux 108."""
SUFFIX = ".sock"


def has_unix_sockets() -> bool:
    """Whether this system has Unix sockets, and tells users apart."""
    return hasattr(socket, "AF_UNIX") and hasattr(os, "getuid")


@dataclass(frozen=True)
class UnixSockets:
    """Transport over sockets that are files, in the user's folder for what runs."""

    def address(self, name: str) -> Path:
        """Return the path of an engine's socket.

        Raises:
            CannotShare: no folder can be used, or its path is too long.
        """
        folder = private_folder()
        address = folder / f"{name}{SUFFIX}"
        if len(os.fsencode(address)) > MAX_PATH_BYTES:
            raise CannotShare(
                f"the path of {folder} is too long for a socket; set XDG_RUNTIME_DIR to a"
                " shorter one"
            )
        return address

    def listen(self, address: Path) -> Listening:
        """Listen on a socket that only this user can open."""
        before = os.umask(0o177)
        try:
            return Listening(listening_socket(socket.AF_UNIX, str(address)))
        finally:
            os.umask(before)

    def connect(self, address: Path) -> Reached | None:
        """Connect, if an engine listens.

        Raises:
            CannotShare: another user's process listens.
            OSError: the connection failed.
        """
        connection = connected_socket(socket.AF_UNIX, str(address))
        if connection is None:
            return None
        try:
            peer = peer_of(connection)
            if peer.is_other_user:
                raise CannotShare(f"{address} belongs to somebody else")
        except BaseException:
            connection.close()
            raise
        return Reached(connection, peer.pid)

    def is_stranger(self, connection: socket.socket) -> bool:
        """Whether another user is at the other end."""
        return peer_of(connection).is_other_user


@dataclass(frozen=True)
class Peer:
    """User and process at the other end of a Unix socket; None: the system does not say."""

    uid: int | None = None
    pid: int | None = None

    @property
    def is_other_user(self) -> bool:
        """Whether it is known to be another user."""
        return self.uid is not None and self.uid != os.getuid()


def peer_of(connection: socket.socket) -> Peer:
    """Return user and process at the other end of a connection."""
    if sys.platform == "linux":
        form = struct.Struct("3i")
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size)
        pid, uid, _ = form.unpack(found)
        return Peer(uid, pid or None)  # 0: in another namespace
    if sys.platform == "darwin":
        local, credentials, of_pid = 0, 1, 2  # SOL_LOCAL, LOCAL_PEERCRED, LOCAL_PEERPID
        _, uid = struct.unpack_from("Ii", connection.getsockopt(local, credentials, 76))
        (pid,) = struct.unpack("i", connection.getsockopt(local, of_pid, 4))
        return Peer(uid, pid)
    return Peer()


def private_folder() -> Path:
    """Return the folder for sockets, which only the user can open; create it if need be.

    Raises:
        CannotShare: it cannot be created, or belongs to somebody else.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    try:
        if base and os.path.isdir(base):  # noqa: PTH112 - `Path.is_dir` may raise
            folder = Path(base) / "longllama"
        else:
            folder = Path(tempfile.gettempdir()) / f"longllama-{os.getuid()}"
    except OSError as error:
        raise CannotShare(f"there is no folder for sockets: {error}") from error
    return own_folder(folder)
