"""Git in the tests: by nobody in particular, without the configuration of who runs them."""

import os
import subprocess
from pathlib import Path

TIMEOUT_S = 120


def git(
    folder: Path,
    *arguments: str,
    date: str = "2023-05-01T12:00:00Z",
    given: bytes | None = None,
) -> str:
    """Run git in a folder, and return what it prints.

    Args:
        folder: the folder, of which a new repository begins with the branch ``main``.
        arguments: those of git.
        date: day and time of commits.
        given: what it reads.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {"NAME": "A", "EMAIL": "a@example.org", "DATE": date}
    env |= {f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "init.defaultBranch=main", "-C", str(folder), *arguments]
    done = subprocess.run(
        command, env=env, capture_output=True, check=True, input=given, timeout=TIMEOUT_S
    )
    return done.stdout.decode().strip()


def commit_all(folder: Path, *, date: str = "2023-05-01T12:00:00Z") -> str:
    """Commit a folder as it is, and return the commit."""
    git(folder, "add", "--all", date=date)
    git(folder, "commit", "--quiet", "--message", "x", date=date)
    return git(folder, "rev-parse", "HEAD")
