"""A package index that cannot be reached, or never answers, and the settings of pip."""

import os
import socket
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = float(os.environ.get("LONGLLAMA_TEST_DEADLINE_S", "120"))


class PackageIndex:
    """What pip finds, as its settings say; offline at first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._installed = folder / "site-packages"
        self._installed.mkdir(parents=True)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self._port: int = unused.getsockname()[1]
        self._write("")

    @property
    def environment(self) -> dict[str, str]:
        """This process's variables, without its own index, and without a server on the PATH."""
        bin_folder = str(Path(sys.executable).parent)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
        paths = os.environ["PATH"].split(os.pathsep)
        return {
            **inherited,
            "PATH": os.pathsep.join(path for path in paths if path != bin_folder),
            "PIP_CONFIG_FILE": str(self._folder / "pip.conf"),
            "PYTHONPATH": str(self._installed),
        }

    @contextmanager
    def silent(self) -> Iterator["SilentIndex"]:
        """Take connections, and never answer."""
        with socket.create_server(("127.0.0.1", self._port)) as listening:
            index = SilentIndex(listening)
            try:
                yield index
            finally:
                index.hang_up()

    def has_all(self) -> None:
        """Let pip install our wheel alone: all else is this process's, as if it were installed."""
        for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
            if "longllama" not in path.name and path.suffix != ".pth":
                (self._installed / path.name).symlink_to(path)
        self._write("no-deps = true\nignore-installed = true\n")

    def _write(self, more: str) -> None:
        index = f"index-url = http://127.0.0.1:{self._port}/simple\n"
        (self._folder / "pip.conf").write_text(f"[global]\nretries = 1\n{index}{more}")


class SilentIndex:
    """An index while it is silent."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._asking: list[socket.socket] = []

    def wait_until_asked(self) -> None:
        """Wait until somebody asks."""
        self._listening.settimeout(WAIT_S)
        self._asking.append(self._listening.accept()[0])

    def hang_up(self) -> None:
        """End the connections of all who asked."""
        for asking in self._asking:
            asking.close()
