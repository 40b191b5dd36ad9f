"""Locations of files: the cache folder, a model's table, the root of a repository."""

import os
import stat
import tempfile
from pathlib import Path

import platformdirs

from longllama_code.errors import ConfigError

CACHE_VARIABLE = "LONGLLAMA_CACHE"
REPOSITORY_MARK = ".git"
TABLE_FILE = "memory_table.safetensors"
"""Name of the memory heads' table in a model's folder."""


def cache_path() -> Path:
    """Return the folder for files that can be fetched or computed again; it may not exist yet.

    ``$LONGLLAMA_CACHE``, where ``~`` stands for the user's home, or else the platform's cache
    folder. A user without a home, as in many containers, has a folder beside temporary files.

    Raises:
        ConfigError: the variable names no folder, or the folder beside temporary files is not the
            user's own.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return expanded(named)
    path = platformdirs.user_cache_path("longllama")
    return path if path.is_absolute() else _without_home()


def expanded(path: str) -> Path:
    """Return the absolute path that a user means, where ``~`` stands for a home folder.

    Raises:
        ConfigError: that home folder is unknown, or no path can be spelt like this.
    """
    try:
        if "\0" in path:
            raise ConfigError(f"{path!r} is no path; name one without NUL characters.")
        return Path(path).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"{path!r} leads nowhere: {error} Name the path in full.") from error


def named_path(name: str) -> Path:
    """Return the path that a name may stand for; one that does not exist, if a home is unknown."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - pathlib raises then


def _without_home() -> Path:
    """Return the cache folder of a user who has no home.

    Raises:
        ConfigError: somebody else made it, or there is no folder for temporary files.
    """
    remedy = f"set {CACHE_VARIABLE} to a folder of your own"
    try:
        path = Path(tempfile.gettempdir()) / f"longllama-cache-{user_id()}"
        found = path.lstat() if os.path.lexists(path) else None
    except OSError as error:
        raise ConfigError(f"this user has no home folder: {remedy} ({error}).") from error
    if found is not None and not (stat.S_ISDIR(found.st_mode) and found.st_uid == user_id()):
        raise ConfigError(f"{path} is not this user's own folder; remove it, or {remedy}.")
    return path


def user_id() -> int:
    """Return the user's id; 0 on Windows, which has none and whose temporary files are private."""
    return os.getuid() if hasattr(os, "getuid") else 0


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
