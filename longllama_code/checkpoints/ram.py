"""Available memory of this machine or container, and a check before it is used."""

from __future__ import annotations

from pathlib import Path

import psutil

from longllama_code.errors import CheckpointError

GB = 10**9


def available_bytes() -> int | None:
    """Return the bytes that can still be taken without swapping; None if the system hides them."""
    known = [found for found in (_machine_bytes(), _cgroup_bytes()) if found is not None]
    return min(known, default=None)


def require_room(needed_bytes: int, what: str, remedy: str) -> None:
    """Check that there is room for something before it is loaded.

    Raises:
        CheckpointError: fewer bytes are available; the message names both and the remedy.
    """
    available = available_bytes()
    if available is not None and needed_bytes > available:
        raise CheckpointError(
            f"{what} takes {needed_bytes / GB:.2f} GB of memory, and {available / GB:.2f} GB are"
            f" available: {remedy}"
        )


def _machine_bytes() -> int | None:
    try:
        return psutil.virtual_memory().available
    except (OSError, RuntimeError):  # no /proc, or one that is restricted
        return None


def _cgroup_bytes() -> int | None:
    """Return what a container may still take: its limit less its use, which counts the cache."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text("ascii").strip()
        used = int((group / "memory.current").read_text("ascii"))
        statistics = (group / "memory.stat").read_text("ascii")
    except (OSError, ValueError):
        return None
    cached = dict(line.split() for line in statistics.splitlines()).get("file", "0")
    return None if limit == "max" else int(limit) - used + int(cached)
