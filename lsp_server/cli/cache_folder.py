"""Contents of the cache folder: models, their encoded segments, and data of evaluations.

All but the statistics can be restored, by ``longllama pull`` or by encoding again.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MODEL_FILE = "model"
"""File in a folder of encoded segments with the name of their model; written by the engine."""
PARENTS = ("memory", "models", "evaluation")
"""Folders whose subfolders are entries; every other folder is an entry itself."""


@dataclass(frozen=True)
class Entry:
    """Subfolder of the cache folder that can be removed by itself."""

    name: str
    """Path relative to the cache folder."""
    model: str | None
    """Name of the model that it belongs to; None if unknown."""
    n_bytes: int
    used_at: float
    """Seconds since the epoch when anything in it was last written."""


def entries(root: Path) -> list[Entry]:
    """Return all entries of a cache folder, sorted by name."""
    return sorted(_entries(root), key=lambda entry: entry.name)


def clear(root: Path, names: Sequence[str]) -> list[Entry]:
    """Remove entries by their names or the names of their models, and return them.

    A running server keeps the files that it has open, and writes new ones.

    Raises:
        ValueError: no entry has one of the names; nothing is removed.
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
    """Yield a table of entries for people."""
    width = max((len(entry.name) for entry in listed), default=0)
    yield f"{root}: {sum(entry.n_bytes for entry in listed) / 1e6:,.1f} MB"
    for entry in listed:
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used_at))
        row = f"{entry.name:{width}}  {entry.n_bytes / 1e6:10,.1f} MB  {day}  {entry.model or ''}"
        yield row.rstrip()


def _entries(root: Path) -> Iterator[Entry]:
    for folder in _folders(root):
        for part in _folders(folder) if folder.name in PARENTS else [folder]:
            stats = [path.lstat() for path in part.rglob("*") if not path.is_dir()]
            n_bytes = sum(stat.st_size for stat in stats)
            used_at = max((stat.st_mtime for stat in stats), default=part.lstat().st_mtime)
            yield Entry(part.relative_to(root).as_posix(), _model_of(part), n_bytes, used_at)


def _folders(folder: Path) -> list[Path]:
    """Return the subfolders of a folder, without symlinks."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def _model_of(part: Path) -> str | None:
    if part.parent.name == "models":
        return part.name.rpartition("-")[0] or part.name
    try:
        return (part / MODEL_FILE).read_text("utf-8")
    except (OSError, ValueError):
        return None
