"""Running git without the settings of the user, of the system, and of the place where it runs."""

import os
import re
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

MAX_OUTPUT_BYTES = 1 << 23
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_USERS = ("GIT_SSH", "GIT_SSL", "GIT_PROXY", "GIT_HTTP", "GIT_CONFIG_GLOBAL", "GIT_ASKPASS")


class GitError(ValueError):
    """Git cannot give what was asked for; the message is what it said."""


def check_commit(commit: str) -> str:
    """Return a commit if it is a full hash.

    Raises:
        ValueError: it is not, and could be an option of git.
    """
    if not COMMIT.fullmatch(commit):
        raise ValueError(f"{commit!r} is no commit; give all digits of its hash")
    return commit


def output(
    repository: Path,
    *arguments: str,
    limit: int = MAX_OUTPUT_BYTES,
    keeps_configuration: bool = False,
) -> bytes:
    """Return what git writes.

    Args:
        repository: a git directory whose configuration is ours.
        arguments: the command and its arguments.
        limit: most bytes of the output.
        keeps_configuration: whether the user's configuration holds, as may be needed to reach
            another machine.

    Raises:
        GitError: git is missing, fails, or writes more than the limit.
    """
    with tempfile.TemporaryFile() as said:
        with _started(repository, arguments, said, keeps_configuration) as process:
            assert process.stdout is not None
            data = process.stdout.read(limit + 1)
            if len(data) > limit:
                process.kill()
                raise GitError(f"git {arguments[0]} writes more than {limit:,} bytes")
        if process.returncode:
            said.seek(0)
            raise GitError(_last_line(said.read()) or f"git {arguments[0]} has failed")
    return data


@contextmanager
def conversation(
    repository: Path, *arguments: str
) -> Generator[tuple[IO[bytes], IO[bytes]], None, None]:
    """Run git, and yield its input and its output. It is ended afterwards.

    Raises:
        GitError: git is missing.
    """
    with _started(repository, arguments, subprocess.DEVNULL, False, subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdin, process.stdout
        finally:
            process.kill()


def _started(
    repository: Path,
    arguments: tuple[str, ...],
    said: IO[bytes] | int,
    keeps_configuration: bool,
    asked: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["git", "--git-dir", str(repository), *arguments],
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(keeps_configuration),
        )
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error


def _environment(keeps_configuration: bool) -> dict[str, str]:
    """Return an environment in which git knows no repository but the one that it is given."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or (keeps_configuration and name.startswith(_USERS))
    }
    env |= {"GIT_LITERAL_PATHSPECS": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    if not keeps_configuration:
        env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        env["GIT_ATTR_NOSYSTEM"] = "1"
    return env


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return f"git: {lines[-1].strip()}" if lines else ""
