"""Locations of files: the cache folder, a model's table, the root of a repository."""

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "LONGLLAMA_CACHE"
REPOSITORY_MARK = ".git"
TABLE_FILE = "memory_table.safetensors"
"""Name of the memory heads' table in a model's folder."""


def cache_path() -> Path:
    """Return the folder for files that can be fetched or computed again; it may not exist yet.

    ``$LONGLLAMA_CACHE``, where ``~`` stands for the user's home, or else the platform's cache
    folder.
    """
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("longllama")


def cache_root() -> Path:
    """Return ``cache_path()``; create it if needed, accessible only to its owner.

    The repository memory kept there is as private as the code that it was made from.
    """
    root = cache_path()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


def repository_root(folder: Path) -> Path | None:
    """Return the folder at or above a folder that holds a git repository; None without one."""
    return next(
        (one for one in (folder, *folder.parents) if (one / REPOSITORY_MARK).exists()), None
    )
