"""Folders of models in the cache: built whole or not at all, and removed once they are replaced."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

FINGERPRINT_DIGITS = 8
"""Hexadecimal digits behind a model's name in the name of its folder."""
_PARTIAL, _REMOVED = ".partial", ".removed"


@contextmanager
def building(folder: Path) -> Generator[Path, None, None]:
    """Give a temporary folder to build in, which becomes ``folder`` if nothing is raised.

    The caller holds the folder's lock, so leftovers of an earlier build may be removed.
    """
    partial = folder.with_name(folder.name + _PARTIAL)
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_outdated(folder: Path) -> list[Path]:
    """Remove the folders of the same model with another fingerprint; return those removed.

    A folder that is in use stays until the next call: one that another process is building, which
    holds its lock, and on Windows one whose files are open. Elsewhere a process that has read or
    mapped the files keeps them until it ends.

    Args:
        folder: the model's current folder, ``models/<name>-<fingerprint>``.
    """
    return [other for other in _others(folder) if _remove(other)]


def _others(folder: Path) -> list[Path]:
    """Return folders of the same model, also those of builds that were killed."""
    name = folder.name[:-FINGERPRINT_DIGITS]
    paths = {
        path.with_name(path.name.removesuffix(_PARTIAL).removesuffix(_REMOVED))
        for path in folder.parent.glob(f"{escape(name)}*")
        if path.is_dir()
    }
    return sorted(path for path in paths if path != folder and _is_version_of(name, path.name))


def _is_version_of(name: str, folder_name: str) -> bool:
    fingerprint = folder_name.removeprefix(name)
    return len(fingerprint) == FINGERPRINT_DIGITS and set(fingerprint) <= set("0123456789abcdef")


def _remove(folder: Path) -> bool:
    """Rename, then delete, so that a half-deleted folder never has the name of a whole one."""
    removed = folder.with_name(folder.name + _REMOVED)
    with suppress(Timeout, OSError), FileLock(f"{folder}.lock", timeout=0):
        shutil.rmtree(folder.with_name(folder.name + _PARTIAL), ignore_errors=True)
        shutil.rmtree(removed, ignore_errors=True)
        if folder.exists():
            folder.rename(removed)
            shutil.rmtree(removed, ignore_errors=True)
        return True
    return False
