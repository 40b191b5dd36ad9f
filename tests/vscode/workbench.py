"""A VS Code workbench on loopback with our extension in it; what it writes stays in its folder.

Its own home, settings and extensions; no gallery, no telemetry, no account. Settings of scope
``machine`` have a file of their own, as the window is a remote one.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from longllama_code.model_sources.default_model import AUTO
from longllama_code.paths import cache_root
from tests.deadline import DEADLINE_S
from tests.vscode.tools import Tools

START_TIMEOUT_S = 300
"""Longest wait for an installation, or for the first answer, where other work is done beside it."""
SETTINGS: dict[str, Any] = {
    "chat.disableAIFeatures": True,
    "editor.wordBasedSuggestions": "off",
    "extensions.ignoreRecommendations": True,
    "files.hotExit": "off",
    "longllama.engine.idleMs": 0,
    "security.workspace.trust.banner": "never",
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.welcomePage.walkthroughs.openOnInstall": False,
}
OPTIONS = (
    "--auth=none",
    "--disable-telemetry",
    "--disable-update-check",
    "--disable-getting-started-override",
)
NO_GALLERY = json.dumps({"serviceUrl": "http://127.0.0.1:9/", "itemUrl": "http://127.0.0.1:9/"})


@dataclass(frozen=True)
class Workbench:
    """A running one."""

    port: int
    folder: Path
    """Where it keeps its home, its settings and its logs."""

    @property
    def storage(self) -> Path:
        """Where the extension keeps what is of no workspace."""
        return self.folder / "data" / "User" / "globalStorage" / "longllama.longllama-code"

    def url(self, workspace: Path | None, file: Path | None = None) -> str:
        """The address that opens a workspace, or a window without one, and a file in it."""
        host = f"127.0.0.1:{self.port}"
        opened = "ew=true" if workspace is None else f"folder={quote(str(workspace))}"
        address = f"http://{host}/?{opened}"
        if file is None:
            return address
        payload = json.dumps([["openFile", f"vscode-remote://{host}{quote(str(file))}"]])
        return f"{address}&payload={quote(payload)}"


@contextmanager
def workbench(
    tools: Tools,
    folder: Path,
    vsix: Path,
    *,
    port: int = 0,
    trusting: bool = True,
    model: str = AUTO,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Workbench]:
    """Install the extension in a workbench of its own, and run it until the block ends.

    Args:
        tools: its programs.
        folder: what it writes is in here.
        vsix: the extension.
        port: to listen on, on loopback; 0 for any.
        trusting: whether every workspace is trusted.
        model: what ``longllama.model.path`` is set to.
        settings: more settings, or others than `SETTINGS` has.
        environment: variables of its processes, in place of this process's.
    """
    port = port or _free_port()
    environment = _environment(tools, folder, os.environ if environment is None else environment)
    _write_settings(folder, {"longllama.model.path": model, **(settings or {})})
    command = [str(tools.node), str(tools.code_server), *_folders(folder)]
    _install(command, vsix, environment)
    trust = ("--disable-workspace-trust",) if trusting else ()
    serve = [*command, *OPTIONS, *trust, f"--bind-addr=127.0.0.1:{port}"]
    with (folder / "code-server.log").open("wb") as log:
        process = subprocess.Popen(
            serve, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_until_up(process, port, folder / "code-server.log")
        yield Workbench(port, folder)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End code-server, and what it may leave behind: an extension host waits for its window."""
    process.terminate()
    process.wait(DEADLINE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _folders(folder: Path) -> list[str]:
    names = {"config": "config.yaml", "user-data-dir": "data", "extensions-dir": "extensions"}
    return [f"--{option}={folder / name}" for option, name in names.items()]


def _environment(tools: Tools, folder: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The inherited one, with a home of its own and a cache that shares models and kernels."""
    cache = folder / "cache"
    cache.mkdir(parents=True)
    for name in ("models", "kernels"):  # to compile kernels takes minutes on a busy machine
        (cache_root() / name).mkdir(exist_ok=True)
        (cache / name).symlink_to(cache_root() / name)
    (folder / "config.yaml").write_text("")
    return {
        **inherited,
        "PATH": f"{tools.node.parent}{os.pathsep}{inherited['PATH']}",
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "LONGLLAMA_CACHE": str(cache),
        "EXTENSIONS_GALLERY": NO_GALLERY,
    }


def _write_settings(folder: Path, more: Mapping[str, Any]) -> None:
    settings = {**SETTINGS, **more}
    for place in ("User", "Machine"):
        (folder / "data" / place).mkdir(parents=True)
        (folder / "data" / place / "settings.json").write_text(json.dumps(settings))


def _install(command: list[str], vsix: Path, environment: dict[str, str]) -> None:
    install = [*command, "--install-extension", str(vsix)]
    subprocess.run(
        install, env=environment, capture_output=True, timeout=START_TIMEOUT_S, check=True
    )


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise RuntimeError(f"code-server did not come up: {log.read_text()[-2000:]}")
