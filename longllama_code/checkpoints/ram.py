"""How much memory there is, and a refusal with numbers where it is not enough."""

from __future__ import annotations

from pathlib import Path

from longllama_code.errors import CheckpointError

GB = 10**9


def available_bytes() -> int | None:
    """Bytes that can still be taken without swapping; None where the system does not say."""
    known = [found for found in (_of_the_machine(), _of_the_group()) if found is not None]
    return min(known, default=None)


def require_room(needed_bytes: int, what: str, remedy: str) -> None:
    """Refuse what would not fit.

    Raises:
        CheckpointError: fewer bytes are available.
    """
    available = available_bytes()
    if available is not None and needed_bytes > available:
        raise CheckpointError(
            f"{what} takes {needed_bytes / GB:.2f} GB of memory, and {available / GB:.2f} GB are"
            f" available: {remedy}"
        )


def _of_the_machine() -> int | None:
    fields = _lines(Path("/proc/meminfo"), ":")
    found = fields.get("MemAvailable", "").split()
    return int(found[0]) * 1024 if found else None


def _of_the_group() -> int | None:
    """What a container may still take: its limit, less what is no cache."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    cached = int(_lines(group / "memory.stat", " ").get("file", "0"))
    return None if limit == "max" else int(limit) - used + cached


def _lines(path: Path, separator: str) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split(separator, 1) for line in lines if separator in line)
