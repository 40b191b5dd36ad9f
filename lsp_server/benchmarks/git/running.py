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
    with stream(repository, *arguments, keeps_configuration=keeps_configuration) as written:
        data = written.read(limit + 1)
        if len(data) > limit:
            raise GitError(f"git {arguments[0]} writes more than {limit:,} bytes")
    return data


@contextmanager
def stream(
    repository: Path, *arguments: str, given: bytes = b"", keeps_configuration: bool = False
) -> Generator[IO[bytes]]:
    """Run git on some input, and yield its output, which must be read to its end.

    Raises:
        GitError: git is missing or fails.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(given)
        asked.seek(0)
        settings = ("-c", f"core.attributesFile={os.devnull}")
        command = ["git", "--git-dir", str(repository), *settings, *arguments]
        env, pipe = _environment(keeps_configuration), subprocess.PIPE
        try:
            process = subprocess.Popen(command, stdin=asked, stdout=pipe, stderr=said, env=env)
        except FileNotFoundError as error:
            raise GitError("git is not installed") from error
        with process:
            assert process.stdout is not None
            try:
                yield process.stdout
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            said.seek(0)
            raise GitError(_last_line(said.read()) or f"git {arguments[0]} has failed")


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
