"""Endpoint of a shared engine: socket, lock and log in a folder of the user's own.

The endpoint's name is a digest of everything that decides what the engine does: its options, the
version, the installation, the model's files. Engines that would be equal have the same name.
"""

import hashlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lsp_server
from longllama_code.paths import CACHE_VARIABLE, cache_path, named_path
from longllama_code.weight_kinds import split_weights
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.protocol import VERSION

MAX_SOCKET_PATH_BYTES = 100
"""Length of a socket's path that every system allows; macOS 104, Linux 108."""
ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", CACHE_VARIABLE, "OMP_NUM_THREADS")
"""Environment variables that an engine depends on."""


class CannotShare(Exception):  # noqa: N818 - a state of this machine
    """No engine can be shared here; the message says why."""


@dataclass(frozen=True)
class Endpoint:
    """Files by which servers find one shared engine."""

    folder: Path
    name: str

    @property
    def socket(self) -> Path:
        """Socket that the engine listens on."""
        return self.folder / f"{self.name}.sock"

    @property
    def lock(self) -> Path:
        """Lock held while the engine starts and while it ends; freed if its holder dies."""
        return lock_of(self.socket)

    @property
    def log(self) -> Path:
        """The engine's stderr."""
        return self.folder / f"{self.name}.log"

    @classmethod
    def for_options(cls, options: ClientOptions) -> "Endpoint":
        """Return the endpoint of engines with these options.

        Raises:
            CannotShare: this system has no local sockets, or no usable folder for them.
        """
        if not hasattr(socket, "AF_UNIX"):
            raise CannotShare("this system has no local sockets")
        endpoint = cls(private_folder(), _name(options))
        if len(os.fsencode(endpoint.socket)) > MAX_SOCKET_PATH_BYTES:
            raise CannotShare(
                f"the path of {endpoint.folder} is too long for a socket; set XDG_RUNTIME_DIR to a"
                " shorter one"
            )
        return endpoint


@dataclass(frozen=True)
class Peer:
    """User and process at the other end of a local socket; None: the system does not say."""

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


def lock_of(socket_path: Path) -> Path:
    """Return the lock file of a socket."""
    return socket_path.with_suffix(".lock")


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
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise CannotShare(
                f"{folder} belongs to somebody else; remove it, or set XDG_RUNTIME_DIR"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise CannotShare(f"{folder} cannot be used: {error}") from error
    return folder


def _name(options: ClientOptions) -> str:
    decisive = [
        VERSION,
        sys.executable,
        str(Path(lsp_server.__file__).parent),
        options.arguments(),
        [os.environ.get(variable) for variable in ENVIRONMENT],
        str(cache_path()),
        list(_stamps(options.engine.model)),
    ]
    return hashlib.blake2b(json.dumps(decisive).encode(), digest_size=12).hexdigest()


def _stamps(model: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of a model's files, which change if they are replaced."""
    name, _ = split_weights(model)
    folder = named_path(name)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            found = path.stat()
            yield str(path.absolute()), found.st_size, found.st_mtime_ns
    elif os.sep not in name:  # folders of fetched models are never written again
        for path in sorted((cache_path() / "models").glob(f"{name}-*/")):
            yield path.name, 0, 0
