"""Commits fetched from where the user says."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lsp_server.benchmarks.git.borrowing import new_repository
from lsp_server.benchmarks.git.running import GitError, output

_SOURCE = re.compile(r"(?!-)[\w.-]+/(?!-)[\w.-]+", re.ASCII)
_SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A network that gives less than a kilobyte a second for a minute is given up."""
_QUIET = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", f"core.hooksPath={os.devnull}")


def check_source(source: str) -> str:
    """Return a source if it is ``owner/name``.

    Raises:
        ValueError: it is not, or could lead elsewhere as part of a path or of an address.
    """
    if not _SOURCE.fullmatch(source) or not {".", ".."}.isdisjoint(source.split("/")):
        raise ValueError(f"{source!r} is no repository, as owner/name")
    return source


def check_template(template: str) -> str:
    """Return a template of addresses to clone from.

    Raises:
        ValueError: it does not name owner and name of the repository.
    """
    if "{owner}" not in template or "{name}" not in template:
        raise ValueError(
            f"{template!r} does not say what to clone; write it with {{owner}} and {{name}}, such "
            "as 'https://HOST/{owner}/{name}.git'."
        )
    return template


def address(template: str, source: str) -> str:
    """Return the address of a repository, from a template and ``owner/name``."""
    owner, _, name = source.partition("/")
    return template.replace("{owner}", owner).replace("{name}", name)


@contextmanager
def fetched(url: str, commit: str, folder: Path) -> Generator[Path]:
    """Yield a new bare repository, below a folder, with a commit from elsewhere.

    It has the commit alone if the other side gives it so, and all of the history otherwise. The
    user's configuration holds, as it may be needed to reach the other side; git asks nothing.

    Raises:
        GitError: git is missing or fails.
    """
    with new_repository(commit, folder) as repository:
        try:
            _fetch(repository, "--depth=1", "--", url, commit)
        except GitError:
            _fetch(repository, "--", url, "+refs/*:refs/remotes/origin/*")
        yield repository


def _fetch(repository: Path, *arguments: str) -> None:
    start = (*_SLOW, *_QUIET, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
    output(repository, *start, *arguments, keeps_configuration=True)
