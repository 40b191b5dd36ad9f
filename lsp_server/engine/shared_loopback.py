"""Shared engines behind ports of this machine, for systems without Unix sockets.

Every process of the machine, and every web page, can connect to a port. So each side proves that it
can read the engine's address file, which only the user can: the client sends the token that stands
there, and the engine answers with the proof that stands there. The engine writes the file once it
listens; one that a killed engine left names a process that is gone, and is taken for none.
"""

import os
import re
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from longllama_code.errors import ConfigError
from longllama_code.paths import cache_root
from lsp_server.engine.shared_transport import (
    CannotShare,
    Listening,
    Reached,
    connected_socket,
    listening_socket,
    own_folder,
    patiently,
)

HOST = "127.0.0.1"
SUFFIX = ".port"
SECRET_BYTES = 32
MAX_FILE_BYTES = 1000
START_TOLERANCE_S = 5.0
"""Difference in a process's time of start that two processes may see, as clocks are adjusted."""
_FORM = re.compile(
    rb"([1-9][0-9]{0,4}) ([1-9][0-9]{0,9}) ((?:0|[1-9][0-9]{0,11})\.[0-9])"
    rb" ([0-9a-f]{64}) ([0-9a-f]{64})\n"
)


@dataclass(frozen=True)
class PortFile:
    """Content of an address file."""

    port: int
    pid: int
    """Process of the engine."""
    started_s: float
    """Time at which it was started, which tells it from a later one with its number."""
    token: bytes
    proof: bytes

    def line(self) -> bytes:
        """Return the file's one line."""
        numbers = f"{self.port} {self.pid} {self.started_s:.1f} ".encode()
        return b"%s%s %s\n" % (numbers, self.token, self.proof)

    @classmethod
    def parse(cls, content: bytes) -> "PortFile | None":
        """Return what a file says; None: it is no address file."""
        found = _FORM.fullmatch(content)
        if found is None or int(found[1]) > 0xFFFF:
            return None
        return cls(int(found[1]), int(found[2]), float(found[3]), found[4], found[5])


@dataclass(frozen=True)
class LoopbackPorts:
    """Transport over TCP on this machine's loopback address."""

    folder: Path | None = None
    """Folder for the address files; None: one in the cache folder."""

    def address(self, name: str) -> Path:
        """Return the path of an engine's address file.

        Raises:
            CannotShare: no folder can be used.
        """
        try:
            folder = self.folder or cache_root() / "engines"
        except (ConfigError, OSError) as error:
            raise CannotShare(f"there is no folder for the engine's address: {error}") from error
        return own_folder(folder) / f"{name}{SUFFIX}"

    def listen(self, address: Path) -> Listening:
        """Listen on any free port, and write the address file.

        Raises:
            OSError: no port is free, or the file cannot be written.
        """
        listening = listening_socket(socket.AF_INET, (HOST, 0))
        try:
            written = _own_file(listening.getsockname()[1])
            _write(address, written)
        except BaseException:
            listening.close()
            raise
        return Listening(listening, written.token, written.proof)

    def connect(self, address: Path) -> Reached | None:
        """Connect, if the engine of the address file runs.

        Raises:
            OSError: the connection failed.
        """
        found = _read(address)
        if found is None or not _runs(found):
            return None
        connection = connected_socket(socket.AF_INET, (HOST, found.port), found.token)
        return None if connection is None else Reached(connection, found.pid, found.proof)

    def is_stranger(self, connection: socket.socket) -> bool:
        """Whether another user is at the other end: the token tells, not the system."""
        return False


def _own_file(port: int) -> PortFile:
    """Return the address file of this process, with new secrets.

    Raises:
        OSError: the system does not say when this process was started.
    """
    pid = os.getpid()
    started_s = _started_s(pid)
    if started_s is None:
        raise OSError(f"the system does not say when process {pid} was started")
    token, proof = (secrets.token_hex(SECRET_BYTES).encode() for _ in range(2))
    return PortFile(port, pid, started_s, token, proof)


def _write(address: Path, content: PortFile) -> None:
    """Write an address file; readers find all of it or nothing."""
    new = address.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.line())
    patiently(lambda: new.replace(address))


def _read(address: Path) -> PortFile | None:
    """Read an address file; None: there is none that can be read."""
    with suppress(OSError), patiently(lambda: address.open("rb")) as file:
        return PortFile.parse(file.read(MAX_FILE_BYTES))
    return None


def _runs(found: PortFile) -> bool:
    """Whether the process that wrote an address file still runs."""
    started_s = _started_s(found.pid)
    return started_s is not None and abs(started_s - found.started_s) <= START_TOLERANCE_S


def _started_s(pid: int) -> float | None:
    """Return the time at which a process was started; None: it is none of this user's."""
    import psutil  # takes 40 ms, which an engine behind a Unix socket does without

    try:
        return psutil.Process(pid).create_time()
    except (psutil.Error, OverflowError):
        return None
