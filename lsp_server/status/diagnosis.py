"""Checks of what may keep the server from working, each with a remedy.

No check raises. Torch and the model's files are checked in a child process
(``lsp_server.engine.process.probe``), as this one must not import torch.
"""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from longllama_code.checkpoints.ram import available_bytes
from longllama_code.model_sources.default_model import chosen_model
from longllama_code.paths import CACHE_VARIABLE, cache_path
from lsp_server.engine.python_command import python_command
from lsp_server.models.larger_model import MANUAL_STEPS, MeasuredTimes, assess
from lsp_server.reasons import reason_of
from lsp_server.settings.declarations import Settings

PROBE_TIMEOUT_S = 120
MIN_FREE_BYTES = 1 << 30
OLDEST_PYTHON = (3, 10)
INOTIFY = Path("/proc/sys/fs/inotify")

State = Literal["ok", "warning", "error"]
STATES: tuple[State, ...] = ("error", "warning", "ok")
"""Worst first."""


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    name: str
    state: State
    found: str
    remedy: str = ""
    """What to do about it; empty if nothing is wrong."""


def diagnose(
    settings: Settings,
    roots: Sequence[Path],
    n_folders: int | None,
    measured: MeasuredTimes | None = None,
) -> list[Check]:
    """Run all checks that need no client. Takes seconds, as the child process imports torch.

    Args:
        settings: the server's settings.
        roots: the workspace folders.
        n_folders: number of folders to be watched; None if unknown.
        measured: times of suggestions; None outside of a running server.
    """
    chosen = chosen_model(settings.model.path)
    probed = _probe(chosen.name)
    checks: dict[str, Callable[[], Check | Iterable[Check]]] = {
        "python": check_python,
        "torch": lambda: check_torch(probed["torch"]),
        "model": lambda: check_model(probed["model"], chosen.reason),
        "larger model": lambda: check_larger_model(settings, measured or MeasuredTimes()),
        "cache": lambda: check_cache(settings.memory.folder),
        "kernels": check_kernels,
        "file watches": lambda: check_watches(n_folders),
        "port": lambda: check_port("127.0.0.1", 0),
        "folder": lambda: map(check_root, roots),
    }
    return [found for name, check in checks.items() for found in _results(name, check)]


def _results(name: str, check: Callable[[], Check | Iterable[Check]]) -> list[Check]:
    """Return what a check found; an error that it raised is a finding, too."""
    try:
        found = check()
        return [found] if isinstance(found, Check) else list(found)
    except Exception as error:
        return [Check(name, "error", reason_of(error), "remove the cause.")]


def worst(checks: Iterable[Check]) -> State:
    """Return the worst state of all checks."""
    states = {check.state for check in checks}
    for state in STATES:
        if state in states:
            return state
    return "ok"


def as_lines(checks: Iterable[Check]) -> Iterator[str]:
    """Yield a line for each check, and one for its remedy."""
    for check in checks:
        yield f"{check.state:8}{check.name:15}{check.found}"
        if check.remedy:
            yield f"{'':8}{'':15}→ {check.remedy}"


def check_python() -> Check:
    """Check the version of Python."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "error", found, "install Python 3.10 or newer.")
    return Check("python", "ok", found)


def check_torch(probed: Mapping[str, Any]) -> Check:
    """Check that torch can be imported; ``probed`` is the probe's result about it."""
    if "error" in probed:
        remedy = "install longllama-code-lsp again, in an environment of its own."
        return Check("torch", "error", str(probed["error"]), remedy)
    found = f"{probed['version']} on {probed['device']}, {probed['threads']} threads"
    return Check("torch", "ok", found)


def check_model(probed: Mapping[str, Any], reason: str = "") -> Check:
    """Check the model's files; ``reason`` says why another model than the default is used."""
    if "error" in probed:
        return Check("model", "error", f"{probed['name']}: {probed['error']}")
    where = probed["folder"] or "built in memory"
    found = f"{probed['name']}: {where}, {probed['bytes'] / 1e6:,.0f} MB"
    if reason:
        return Check("model", "warning", f"{found}; {reason}", "close other programs.")
    return Check("model", "ok", found)


def check_larger_model(settings: Settings, measured: MeasuredTimes) -> Check:
    """Report whether the larger code model would be fast enough and fit; never a problem."""
    assessment = assess(settings, measured, available_bytes())
    if not assessment.is_recommended:
        return Check("larger model", "ok", assessment.text)
    return Check("larger model", "ok", assessment.text, f"to use it, {MANUAL_STEPS}.")


def check_cache(folder: Path) -> Iterator[Check]:
    """Check that the cache folder is writable, has space, and is not readable by other users."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free_bytes = shutil.disk_usage(existing).free
    except OSError as error:
        remedy = "make it writable, or set longllama.memory.cacheDir to another folder."
        yield Check("cache", "error", f"{folder}: {error}", remedy)
        return
    found = f"{folder}, {free_bytes / 1e9:.1f} GB free"
    if free_bytes < MIN_FREE_BYTES:
        remedy = "make room, or lower longllama.memory.maxStoreBytes."
        yield Check("cache", "warning", found, remedy)
    else:
        yield Check("cache", "ok", found)
    yield from _check_store_access(folder)
    yield from _check_manifests(folder)


def _check_store_access(folder: Path) -> Iterator[Check]:
    """Check that no other user can read encoded segments: code could be guessed from them."""
    stores = (folder / "memory").glob("*/") if os.name == "posix" else ()
    for store in stores:
        if store.stat().st_mode & 0o077:
            found = f"{store} is open to other users"
            yield Check("cache access", "warning", found, f"chmod 700 {store}")


def _check_manifests(folder: Path) -> Iterator[Check]:
    """Name manifests of stores that are damaged, or were and begun anew."""
    for path in sorted((folder / "memory").glob("*/manifest.sqlite*")):
        if path.name == "manifest.sqlite.damaged":
            found = f"{path} was damaged and set aside; a new one took its place"
            yield Check("store", "warning", found, "check the disk, and remove this file.")
        elif path.name == "manifest.sqlite" and (damage := _damage_of(path)):
            remedy = "the next start sets it aside; files are encoded again then."
            yield Check("store", "warning", f"{path} is damaged: {damage}", remedy)


def _damage_of(manifest: Path) -> str:
    """Return what is wrong with an SQLite file; empty if nothing is."""
    try:
        with closing(sqlite3.connect(f"{manifest.as_uri()}?mode=ro", uri=True)) as database:
            found = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
            return "" if found == "ok" else found
    except sqlite3.OperationalError:  # locked, or it cannot be opened without writing
        return ""
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter quotes a damaged schema
        return str(error)


def check_kernels() -> Check:
    """Check that compiled kernels can be kept; they need seconds to a minute to be made again."""
    folder = cache_path()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Check("kernels", "ok", f"kept in {folder}")
    except OSError as error:
        remedy = f"set {CACHE_VARIABLE} to a folder that can be written."
        found = f"compiled at each start, as {folder} cannot be written: {error}"
        return Check("kernels", "warning", found, remedy)


def check_watches(n_folders: int | None, limits: Path = INOTIFY) -> Check:
    """Check that the system allows enough file watches; ``limits`` is the kernel's folder."""
    try:
        watches = int((limits / "max_user_watches").read_text("ascii"))
        instances = int((limits / "max_user_instances").read_text("ascii"))
    except OSError:
        return Check("file watches", "ok", "no known limit")
    found = f"{watches:,} watches and {instances:,} instances for each user"
    if n_folders is not None and n_folders > watches // 2:
        found += f", {n_folders:,} folders here"
        remedy = f"sysctl fs.inotify.max_user_watches={max(524_288, 4 * n_folders)}"
        return Check("file watches", "warning", found, remedy)
    return Check("file watches", "ok", found)


def check_port(host: str, port: int) -> Check:
    """Check that an address can be listened on; port 0 is any free port."""
    try:
        with socket.create_server((host, port)):
            return Check("port", "ok", f"{host} can be listened on")
    except OSError as error:
        remedy = "serve over stdio, or on another --tcp or --ws port."
        return Check("port", "warning", f"{host}:{port}: {error}", remedy)


def check_root(root: Path) -> Check:
    """Check that a workspace folder can be read."""
    if not os.path.isdir(root):  # noqa: PTH112 - `Path.is_dir` may raise
        return Check("folder", "error", f"{root} does not exist", "open a folder that exists.")
    if not os.access(root, os.R_OK | os.X_OK):
        return Check("folder", "error", f"{root} cannot be read", "make it readable.")
    return Check("folder", "ok", str(root))


def _probe(model: str) -> dict[str, Any]:
    """Run the probe in a child process. If it fails, so do the checks of torch and the model."""
    try:
        done = subprocess.run(
            [*python_command("lsp_server.engine.process.probe"), model],
            capture_output=True,
            encoding="utf-8",
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        problem = f"the probe of the engine's process failed: {error}"
        return {"torch": {"error": problem}, "model": {"name": model, "error": problem}}
