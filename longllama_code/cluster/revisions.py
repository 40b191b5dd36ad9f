"""Checkouts of a repository's revision into a temporary folder, without hooks or filters."""

import os
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from longllama_code.errors import ConfigError


@dataclass(frozen=True)
class Checkout:
    """Files of a revision in a folder."""

    folder: Path
    revision: str
    """Commit; empty for a folder without git."""
    name: str
    """Default name of the repository."""


@contextmanager
def checked_out(source: str, revision: str | None = None) -> Generator[Checkout]:
    """Check out the committed files of a folder's or a URL's repository.

    Args:
        source: a folder, or a URL for ``git fetch``.
        revision: a branch, tag or commit; None for the one that is checked out. A folder without
            git is taken as it is.

    Raises:
        ConfigError: there is no such repository or revision.
    """
    folder = Path(source).expanduser()
    if folder.is_dir() and not (folder / ".git").exists():
        if revision is not None:
            raise ConfigError(f"{source} is no git repository; leave out the revision.")
        yield Checkout(folder, "", folder.resolve().name)
        return
    with tempfile.TemporaryDirectory(prefix="longllama-") as temporary:
        if folder.is_dir():
            found = _git("-C", str(folder), "rev-parse", "--absolute-git-dir")
            git_dir, name = Path(found.strip()), folder.resolve().name
        else:
            git_dir, name = Path(temporary) / "git", _name_of(source)
            _git("init", "--quiet", "--bare", str(git_dir))
            _at(git_dir, "fetch", "--quiet", "--depth=1", "--", source, revision or "HEAD")
            revision = "FETCH_HEAD"
        wanted = f"{revision or 'HEAD'}^{{commit}}"
        commit = _at(git_dir, "rev-parse", "--verify", "--end-of-options", wanted).split()[-1]
        files = Path(temporary) / name
        files.mkdir()
        place = {"GIT_INDEX_FILE": str(Path(temporary) / "index"), "GIT_WORK_TREE": str(files)}
        _at(git_dir, "read-tree", commit, **place)
        _at(git_dir, "checkout-index", "--all", **place)
        yield Checkout(files, commit, name)


def _at(git_dir: Path, *arguments: str, **environment: str) -> str:
    return _git(f"--git-dir={git_dir}", *arguments, **environment)


def _name_of(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").replace(":", "/").rpartition("/")[2]


def _git(*arguments: str, **environment: str) -> str:
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", **environment}
    try:
        done = subprocess.run(
            ["git", *arguments], env=quiet, capture_output=True, encoding="utf-8", check=False
        )
    except OSError as error:
        raise ConfigError(f"git cannot be run: {error}; install it.") from error
    if done.returncode:
        what = next((part for part in arguments if not part.startswith("-")), "git")
        raise ConfigError(f"git {what} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout
