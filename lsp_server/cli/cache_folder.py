"""What the cache folder holds, for ``longllama-lsp cache``.

Models, the encoded segments of each (its memory), and what evaluations and training have fetched.
All of it can be had again: by ``longllama pull``, or by encoding again.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MODEL_FILE = "model"
"""In a folder of memory: the model's name, as the engine wrote it."""
BY_ENTRY = ("memory", "models", "evaluation")
"""Folders that hold one entry for each model; every other folder is an entry itself."""


@dataclass(frozen=True)
class Entry:
    """A part of the cache folder that can be removed by itself."""

    name: str
    """Its path in the cache folder."""
    model: str | None
    """Whose it is, as far as that is known."""
    n_bytes: int
    used_at: float
    """Seconds since the epoch, when anything in it was last written."""


def entries(root: Path) -> list[Entry]:
    """All parts of a cache folder, by name."""
    return sorted(_entries(root), key=lambda entry: entry.name)


def clear(root: Path, names: Sequence[str]) -> list[Entry]:
    """Remove parts by their names, or by the name of their model; what was removed.

    A server that runs goes on with what it has open, and writes anew.

    Raises:
        ValueError: nothing has one of the names; then nothing is removed.
    """
    found = entries(root)
    for name in names:
        if not any(name in (entry.name, entry.model) for entry in found):
            raise ValueError(
                f"nothing in {root} is named {name!r}; `longllama-lsp cache` lists it."
            )
    removed = [entry for entry in found if {entry.name, entry.model} & set(names)]
    for entry in removed:
        shutil.rmtree(root / entry.name)
    return removed


def as_lines(root: Path, listed: Sequence[Entry]) -> Iterator[str]:
    """The parts, for people."""
    width = max((len(entry.name) for entry in listed), default=0)
    yield f"{root}: {sum(entry.n_bytes for entry in listed) / 1e6:,.1f} MB"
    for entry in listed:
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used_at))
        row = f"{entry.name:{width}}  {entry.n_bytes / 1e6:10,.1f} MB  {day}  {entry.model or ''}"
        yield row.rstrip()


def _entries(root: Path) -> Iterator[Entry]:
    for folder in _folders(root):
        for part in _folders(folder) if folder.name in BY_ENTRY else [folder]:
            stats = [path.lstat() for path in part.rglob("*") if not path.is_dir()]
            n_bytes = sum(stat.st_size for stat in stats)
            used_at = max((stat.st_mtime for stat in stats), default=part.lstat().st_mtime)
            yield Entry(part.relative_to(root).as_posix(), _model(part), n_bytes, used_at)


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder; links are left alone."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def _model(part: Path) -> str | None:
    if part.parent.name == "models":
        return part.name.rpartition("-")[0] or part.name
    try:
        return (part / MODEL_FILE).read_text("utf-8")
    except (OSError, ValueError):
        return None
