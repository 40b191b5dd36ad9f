"""What may keep the server from working, found one by one, with what to do about it.

Each check looks at one thing and gives one `Check`; none raises. Torch and the model's files are
looked at in a child process (`engine_probe`).
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from longllama_code.checkpoints.ram import available_bytes
from longllama_code.model_sources.default_model import chosen_model
from lsp_server.engine.shared_endpoint import cache_folder
from lsp_server.engine.stdio import python_command
from lsp_server.models.larger_model import HOW_BY_HAND, Measured, judge
from lsp_server.settings.declarations import Settings

PROBE_TIMEOUT_S = 120
LEAST_FREE_BYTES = 1 << 30
OLDEST_PYTHON = (3, 10)
INOTIFY = Path("/proc/sys/fs/inotify")

State = Literal["ok", "warning", "error"]
STATES: tuple[State, ...] = ("error", "warning", "ok")
"""Worst first."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    remedy: str = ""
    """What to do about it; empty where all is well."""


def diagnose(
    settings: Settings,
    roots: Sequence[Path],
    n_folders: int | None,
    measured: Measured | None = None,
) -> list[Check]:
    """Look at everything that does not depend on a client. Takes seconds: torch is imported.

    Args:
        settings: as they hold.
        roots: the workspace folders.
        n_folders: how many folders are watched; None where that is not known.
        measured: how long suggestions take; None where no server has answered so far.
    """
    chosen = chosen_model(settings.model.path)
    probed = _probe(chosen.name)
    checks = [
        check_python(),
        check_torch(probed["torch"]),
        check_model(probed["model"], chosen.reason),
        check_larger_model(settings, measured or Measured()),
        *check_cache(cache_folder(settings.memory)),
        check_watches(n_folders),
        check_port("127.0.0.1", 0),
    ]
    return [*checks, *(check_root(root) for root in roots)]


def worst(checks: Iterable[Check]) -> State:
    """The worst state of all."""
    states = {check.state for check in checks}
    for state in STATES:
        if state in states:
            return state
    return "ok"


def as_lines(checks: Iterable[Check]) -> Iterator[str]:
    """For people: a line for each check, and one for what to do."""
    for check in checks:
        yield f"{check.state:8}{check.name:15}{check.found}"
        if check.remedy:
            yield f"{'':8}{'':15}→ {check.remedy}"


def check_python() -> Check:
    """The interpreter that runs the server."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "error", found, "install Python 3.10 or newer.")
    return Check("python", "ok", found)


def check_torch(probed: Mapping[str, Any]) -> Check:
    """Torch and the device that it computes on."""
    if "error" in probed:
        remedy = "install longllama-code-lsp again, in an environment of its own."
        return Check("torch", "error", str(probed["error"]), remedy)
    found = f"{probed['version']} on {probed['device']}, {probed['threads']} threads"
    return Check("torch", "ok", found)


def check_model(probed: Mapping[str, Any], reason: str = "") -> Check:
    """Look at the model's files; ``reason`` says why it is not the usual one."""
    if "error" in probed:
        return Check("model", "error", f"{probed['name']}: {probed['error']}", "see above.")
    where = probed["folder"] or "built in memory"
    found = f"{probed['name']}: {where}, {probed['bytes'] / 1e6:,.0f} MB"
    if reason:
        return Check("model", "warning", f"{found}; {reason}", "close other programs.")
    return Check("model", "ok", found)


def check_larger_model(settings: Settings, measured: Measured) -> Check:
    """Whether the larger code model would be fast enough, and has room: no trouble either way."""
    verdict = judge(settings, measured, available_bytes())
    if not verdict.is_worth_it:
        return Check("larger model", "ok", verdict.words)
    return Check("larger model", "ok", verdict.words, f"to use it, {HOW_BY_HAND}.")


def check_cache(folder: Path) -> Iterator[Check]:
    """Whether segments can be kept, and by nobody else be read."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            free_bytes = shutil.disk_usage(place).free
    except OSError as error:
        remedy = "make it writable, or set longllama.memory.cacheDir to another folder."
        yield Check("cache", "error", f"{folder}: {error}", remedy)
        return
    found = f"{folder}, {free_bytes / 1e9:.1f} GB free"
    if free_bytes < LEAST_FREE_BYTES:
        remedy = "make room, or lower longllama.memory.maxStoreBytes."
        yield Check("cache", "warning", found, remedy)
    else:
        yield Check("cache", "ok", found)
    yield from _open_stores(folder)


def _open_stores(folder: Path) -> Iterator[Check]:
    """Segments that others could read: from them the code could be guessed at."""
    stores = (folder / "memory").glob("*/") if os.name == "posix" else ()
    for store in stores:
        if store.stat().st_mode & 0o077:
            found = f"{store} is open to other users"
            yield Check("cache access", "warning", found, f"chmod 700 {store}")


def check_watches(n_folders: int | None, limits: Path = INOTIFY) -> Check:
    """Whether the system lets us watch every folder."""
    try:
        watches = int((limits / "max_user_watches").read_text())
        instances = int((limits / "max_user_instances").read_text())
    except OSError:
        return Check("file watches", "ok", "no limit that is known of")
    found = f"{watches:,} watches and {instances:,} instances for each user"
    if n_folders is not None and n_folders > watches // 2:
        found += f", {n_folders:,} folders here"
        remedy = f"sysctl fs.inotify.max_user_watches={max(524_288, 4 * n_folders)}"
        return Check("file watches", "warning", found, remedy)
    return Check("file watches", "ok", found)


def check_port(host: str, port: int) -> Check:
    """Whether an address can be listened on (port 0: any port)."""
    try:
        with socket.create_server((host, port)):
            return Check("port", "ok", f"{host} can be listened on")
    except OSError as error:
        remedy = "serve over stdio, or on another --tcp or --ws port."
        return Check("port", "warning", f"{host}:{port}: {error}", remedy)


def check_root(root: Path) -> Check:
    """A workspace folder."""
    if not root.is_dir():
        return Check("folder", "error", f"{root} is not there", "open a folder that exists.")
    if not os.access(root, os.R_OK | os.X_OK):
        return Check("folder", "error", f"{root} cannot be read", "make it readable.")
    return Check("folder", "ok", str(root))


def _probe(model: str) -> dict[str, Any]:
    """What the child finds; its own failure is one of torch's."""
    try:
        done = subprocess.run(
            [*python_command("lsp_server.engine.process.probe"), model],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        trouble = f"the engine's process cannot look at it: {error}"
        return {"torch": {"error": trouble}, "model": {"name": model, "error": trouble}}
