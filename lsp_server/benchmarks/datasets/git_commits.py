"""Commits of git directories: found on disk or fetched, and written out as folders.

A git directory of somebody else is hostile: its configuration can name programs, which git runs.
So git runs in an empty repository of ours, which borrows the other's objects and nothing else
(``gitrepository-layout``, ``objects/info/alternates``), without the user's configuration.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

MAX_TREE_BYTES = 4 << 30
_SOURCE = re.compile(r"(?!-)[\w.-]+/(?!-)[\w.-]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A network that gives less than a kilobyte a second for a minute is given up."""
_QUIET = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", f"core.hooksPath={os.devnull}")


class GitError(RuntimeError):
    """Git has failed; the message is what it said."""


def check_source(source: str) -> str:
    """Return a source if it is ``owner/name``.

    Raises:
        ValueError: it is not, or could lead elsewhere as part of a path or of an address.
    """
    if not _SOURCE.fullmatch(source) or not {".", ".."}.isdisjoint(source.split("/")):
        raise ValueError(f"{source!r} is no repository, as owner/name")
    return source


def check_commit(commit: str) -> str:
    """Return a commit if it is a full hash.

    Raises:
        ValueError: it is not, and could be an option of git.
    """
    if not _COMMIT.fullmatch(commit):
        raise ValueError(f"{commit!r} is no commit; give all digits of its hash")
    return commit


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


def git_directory(folder: Path, source: str) -> Path | None:
    """Return the git directory of a source below a folder; None if there is none.

    The places are ``OWNER+NAME/repo``, ``OWNER+NAME``, ``OWNER+NAME.git``, ``OWNER/NAME`` and
    ``OWNER/NAME.git``, each bare or with a ``.git`` in it.
    """
    stem = source.replace("/", "+")
    places = (f"{stem}/repo", stem, f"{stem}.git", source, f"{source}.git")
    found = (folder / place / inner for place in places for inner in ("", ".git"))
    return next((each for each in found if _is_git_directory(each)), None)


def _is_git_directory(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


@contextmanager
def borrowed(directory: Path) -> Generator[Path]:
    """Yield a new bare repository with the objects of a git directory.

    Raises:
        GitError: git is missing or fails.
    """
    with _new_repository() as repository:
        objects = str((directory / "objects").resolve())
        if "\n" in objects:
            raise GitError(f"{objects!r} has a line break, which git cannot borrow from")
        (repository / "objects" / "info").mkdir(exist_ok=True)
        (repository / "objects" / "info" / "alternates").write_text(objects + "\n", "utf-8")
        yield repository


@contextmanager
def fetched(url: str, commit: str, folder: Path) -> Generator[Path]:
    """Yield a new bare repository, below a folder, with a commit from elsewhere.

    It has the commit alone if the other side gives it so, and all of the history otherwise. The
    user's configuration holds, as it may be needed to reach the other side; git asks nothing.

    Raises:
        GitError: git is missing or fails.
    """
    with _new_repository(folder) as repository:
        start = (*_SLOW, *_QUIET, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
        env = _environment(keeps_configuration=True)
        try:
            _git(repository, *start, "--depth=1", "--", url, commit, env=env)
        except GitError:
            _git(repository, *start, "--", url, "+refs/*:refs/remotes/origin/*", env=env)
        yield repository


def commit_time(repository: Path, commit: str) -> datetime:
    """Return the time of a commit, in UTC.

    Raises:
        GitError: the repository does not have it.
    """
    try:
        said = _git(repository, "show", "-s", "--format=%cI", f"{commit}^{{commit}}", "--").decode()
    except GitError as error:
        raise GitError(f"there is no commit {commit}") from error
    time = datetime.fromisoformat(said.strip().replace("Z", "+00:00"))
    return time.astimezone(timezone.utc)


def write_tree(repository: Path, commit: str, target: Path) -> None:
    """Write the files of a commit to a folder that does not exist yet, as ``git archive`` has them.

    So ``export-ignore`` and ``export-subst`` in its ``.gitattributes`` count. Links that lead out
    of the folder are left out.

    Raises:
        GitError: the repository does not have the commit, or not all of its files.
        ValueError: the files are larger than `MAX_TREE_BYTES`.
    """
    if not hasattr(tarfile, "data_filter"):
        raise GitError("this Python cannot unpack safely; use 3.10.12, 3.11.4 or newer")
    target.mkdir(parents=True)
    command = _command(repository, "archive", "--format=tar", commit)
    problem: Exception | None = None
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(),
        ) as process,
    ):
        try:
            _unpack(process, target)
        except (tarfile.TarError, OSError) as error:
            problem = error  # Git's own message says more, if it has failed.
        if process.wait() or problem is not None:
            said.seek(0)
            raise GitError(_last_line(said.read()) or f"the files cannot be unpacked: {problem}")


def _unpack(process: subprocess.Popen[bytes], target: Path) -> None:
    n_bytes = 0

    def only_inside(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        nonlocal n_bytes
        n_bytes += member.size
        if n_bytes > MAX_TREE_BYTES:
            raise ValueError(f"the files are larger than {MAX_TREE_BYTES >> 30} GiB")
        try:
            return tarfile.data_filter(member, path)
        except tarfile.FilterError:
            return None

    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            archive.extractall(target, filter=only_inside)
    except BaseException:
        process.kill()
        raise


@contextmanager
def _new_repository(parent: Path | None = None) -> Generator[Path]:
    if shutil.which("git") is None:
        raise GitError("git is not installed")
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        repository = Path(folder)
        _git(repository, "init", "--quiet", "--bare", "--template=")
        yield repository


def _git(repository: Path, *arguments: str, env: Mapping[str, str] | None = None) -> bytes:
    done = subprocess.run(
        _command(repository, *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_environment() if env is None else env,
    )
    if done.returncode:
        raise GitError(_last_line(done.stderr) or f"git {arguments[0]} has failed")
    return done.stdout


def _command(repository: Path, *arguments: str) -> list[str]:
    start = ["git", "--git-dir", str(repository), "-c", f"core.attributesFile={os.devnull}"]
    return [*start, *arguments]


def _environment(*, keeps_configuration: bool = False) -> dict[str, str]:
    """Return an environment in which git knows no repository but the one that it is given."""
    kept = ("GIT_SSH", "GIT_SSL", "GIT_PROXY", "GIT_HTTP", "GIT_CONFIG_GLOBAL", "GIT_ASKPASS")
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or (keeps_configuration and name.startswith(kept))
    }
    env |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    if not keeps_configuration:
        env |= {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
        }
    return env


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return f"git: {lines[-1].strip()}" if lines else ""
