"""A git repository's rules that are in no `.gitignore`: its `info/exclude`, and the user's file."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from longllama_code.paths import REPOSITORY_MARK
from longllama_code.source_files.git_config import (
    expanded,
    is_true,
    read_config,
    user_files,
    user_folder,
)
from longllama_code.source_files.regular_files import read_regular

_MAX_POINTER_BYTES = 1 << 14
_POINTER = b"gitdir: "
_REMOTE = ("\\\\", "//")


class GitRepository(NamedTuple):
    """What a repository's rules depend on, as it was when it was read."""

    info_exclude: Path | None
    """Rules of this clone; None outside of repositories."""
    user_excludes: Path | None
    """Rules of the user, `core.excludesFile`."""
    ignores_case: bool
    """Whether names are compared without regard to case: `core.ignoreCase`."""
    configuration: tuple[Path, ...]
    """Files that say so; they need not exist."""


def git_folder(top: Path) -> Path | None:
    """Return the folder in which git keeps a repository; None for a folder that is no top of one.

    It is `.git`, or in submodules, worktrees and clones with a separate folder what `.git` names;
    that of worktrees is the repository's own, which they share.
    """
    mark = top / REPOSITORY_MARK
    try:
        if (mark / "HEAD").exists():
            return mark
        pointer = read_regular(mark, _MAX_POINTER_BYTES)
    except (OSError, ValueError):
        return None
    if not pointer.startswith(_POINTER):
        return None
    own = _pointed(top, pointer[len(_POINTER) :])
    if own is None or not own.is_dir():
        return None
    with suppress(OSError, ValueError):
        return _pointed(own, read_regular(own / "commondir", _MAX_POINTER_BYTES))
    return own


def git_repository(top: Path) -> GitRepository:
    """Read what the rules of a folder depend on; without a repository, only the user's count."""
    folder = git_folder(top)
    of_user = user_files()
    values: dict[str, str] = {}
    for file in of_user:
        values |= read_config(file, follows_includes=True)
    own = {} if folder is None else read_config(folder / "config", follows_includes=False)
    return GitRepository(
        None if folder is None else folder / "info" / "exclude",
        _user_excludes(top, values, own),
        is_true({**values, **own}.get("core.ignorecase", "false")),
        (*of_user, *([] if folder is None else [folder / "config"])),
    )


def _user_excludes(top: Path, of_user: dict[str, str], own: dict[str, str]) -> Path | None:
    named = own.get("core.excludesfile")
    # Whoever wrote the repository may have written its configuration.
    if named is None or _leads_away(named, top):
        named = of_user.get("core.excludesfile")
    if named is not None:
        return top / expanded(named) if named else None
    default = user_folder()
    return None if default is None else default / "ignore"


def _pointed(folder: Path, pointer: bytes) -> Path | None:
    """Return what a pointer in a file names; None for another machine's folder.

    Windows would tell that machine the user's name, and more.
    """
    named = os.fsdecode(pointer).rstrip("\r\n")
    if not named or "\0" in named or _leads_away(named, folder):
        return None
    return Path(os.path.normpath(folder / named))


def _leads_away(named: str, folder: Path) -> bool:
    """Whether a path leads to another machine, and a folder does not."""
    return named.startswith(_REMOTE) and not str(folder).startswith(_REMOTE)
