"""Endpoint of a shared engine: address, lock and log in a folder of the user's own.

The endpoint's name is a digest of everything that decides what the engine does: its options, the
version, the installation, the model's files. Engines that would be equal have the same name.
"""

import glob
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lsp_server
from longllama_code.paths import CACHE_VARIABLE, cache_path, named_path
from longllama_code.weight_kinds import split_weights
from lsp_server.engine import shared_unix
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.protocol import VERSION
from lsp_server.engine.shared_loopback import LoopbackPorts
from lsp_server.engine.shared_transport import Transport
from lsp_server.engine.shared_unix import UnixSockets, has_unix_sockets

ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", CACHE_VARIABLE, "OMP_NUM_THREADS")
"""Environment variables that an engine depends on."""


@dataclass(frozen=True)
class Endpoint:
    """Files by which servers find one shared engine."""

    address: Path
    """The socket that the engine listens on, or the file that names its port."""

    @property
    def transport(self) -> Transport:
        """Way to reach the engine."""
        return UnixSockets() if self.address.suffix == shared_unix.SUFFIX else LoopbackPorts()

    @property
    def lock(self) -> Path:
        """Lock held while the engine starts and while it ends; freed if its holder dies."""
        return self.address.with_suffix(".lock")

    @property
    def log(self) -> Path:
        """The engine's stderr."""
        return self.address.with_suffix(".log")

    @classmethod
    def for_options(cls, options: ClientOptions) -> "Endpoint":
        """Return the endpoint of engines with these options.

        Raises:
            CannotShare: there is no usable folder for its files.
        """
        return cls((options.transport or system_transport()).address(_name(options)))


def system_transport() -> Transport:
    """Return the transport for this system."""
    return UnixSockets() if has_unix_sockets() else LoopbackPorts()


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
    named = named_path(name)
    files = sorted(named.iterdir()) if named.is_dir() else [named] if named.is_file() else []
    for path in files:
        found = path.stat()
        yield str(path.absolute()), found.st_size, found.st_mtime_ns
    if not files and Path(name).name == name:
        # Folders of fetched models are never written again.
        for path in sorted((cache_path() / "models").glob(f"{glob.escape(name)}-*/")):
            yield path.name, 0, 0
