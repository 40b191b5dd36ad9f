"""Where a shared engine is found: a folder for its user alone, and names made of its options.

What is started alike has one name, everything else another: another version, another installation,
a model whose files were replaced.
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
from longllama_code.paths import CACHE_VARIABLE, cache_path
from longllama_code.weight_kinds import split_weights
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.protocol import VERSION
from lsp_server.settings.declarations import Memory

MAX_SOCKET_PATH_BYTES = 100
"""Systems have room for 104 or 108."""
ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", CACHE_VARIABLE, "OMP_NUM_THREADS")
"""Variables that decide what an engine does."""


class CannotShare(Exception):  # noqa: N818 - a state of this machine
    """This machine or this engine is none that can be shared; the message says why."""


@dataclass(frozen=True)
class Place:
    """The files of one shared engine."""

    folder: Path
    name: str

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / f"{self.name}.sock"

    @property
    def lock(self) -> Path:
        """Held while it is started, and while it ends. The system frees it with its holder."""
        return lock_of(self.socket)

    @property
    def log(self) -> Path:
        """What it says on stderr."""
        return self.folder / f"{self.name}.log"

    @classmethod
    def of(cls, options: ClientOptions) -> "Place":
        """The place of engines that are started so.

        Raises:
            CannotShare: there can be none here.
        """
        if not hasattr(socket, "AF_UNIX"):
            raise CannotShare("this system has no local sockets")
        place = cls(private_folder(), _name(options))
        if len(os.fsencode(place.socket)) > MAX_SOCKET_PATH_BYTES:
            raise CannotShare(f"the path of {place.folder} is too long for a socket")
        return place


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a local socket, where the system says so."""

    uid: int | None = None
    pid: int | None = None

    @property
    def is_other_user(self) -> bool:
        """Whether it is known to be somebody else."""
        return self.uid is not None and self.uid != os.getuid()


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end; for the one who connected, that is who listens."""
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


def cache_folder(memory: Memory) -> Path:
    """Where encoded segments are kept."""
    return Path(memory.cache_dir).expanduser() if memory.cache_dir else cache_path()


def lock_of(socket_path: Path) -> Path:
    """The lock beside a socket."""
    return socket_path.with_suffix(".lock")


def private_folder() -> Path:
    """The user's own folder for sockets; nobody else may look into it.

    Raises:
        CannotShare: it cannot be made, or belongs to somebody else.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir():
        folder = Path(base) / "longllama"
    else:
        folder = Path(tempfile.gettempdir()) / f"longllama-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise CannotShare(f"{folder} belongs to somebody else")
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
    """What tells the files of a model from those that were there before."""
    name, _ = split_weights(model)
    folder = Path(name).expanduser()
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            found = path.stat()
            yield str(path.absolute()), found.st_size, found.st_mtime_ns
    elif os.sep not in name:  # its folders are never written again
        for path in sorted((cache_path() / "models").glob(f"{name}-*/")):
            yield path.name, 0, 0
