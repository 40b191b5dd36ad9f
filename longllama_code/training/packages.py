"""Published packages as source trees: pinned by a manifest, fetched by pip, read but never run.

    data/<which>_packages.json ──▶ Package ──▶ <cache_root>/sources/<wheel> ──▶ SourceTree

Only wheels are fetched, and their texts are read inside the archive: nothing of a package is
installed, unpacked or built. A wheel that is in the cache needs no network.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal

from longllama_code.catalog import cache_root, pip_download
from longllama_code.errors import DownloadError
from longllama_code.training.sources import MAX_FILE_CHARS, SourceTree, worth_reading

Which = Literal["evaluation", "training"]

DATA = Path(__file__).parent.parent / "data"
VENDORED_FOLDERS = frozenset(
    {"_vendor", "_vendored", "_vendored_packages", "extern", "third_party", "vendor", "vendored"}
)
GENERATED_ENDINGS = ("_pb2.py", "_pb2_grpc.py")


@dataclass(frozen=True)
class Package:
    """One release of a package, down to the byte.

    Attributes:
        name: what pip calls it.
        version: the release.
        wheel: the name of its wheel, which is pure Python.
        sha256: of the wheel.
        licence: as its metadata state it.
        n_files: files that are worth reading.
        n_chars: characters in them.
        released_since: the index has no wheel of any version from before this day (ISO), so that
            no model trained on older code knows the package; empty where nobody asked.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    licence: str
    n_files: int
    n_chars: int
    released_since: str = ""


def load_packages(which: Which) -> list[Package]:
    """The packages of a manifest: those that training reads, or those that it must never see."""
    entries = json.loads((DATA / f"{which}_packages.json").read_text("utf-8"))
    return [Package(**entry) for entry in entries]


def fetch(package: Package, suffixes: Iterable[str] = (".py",)) -> SourceTree:
    """The sources of a package, from the cache or else from the user's package index.

    Raises:
        DownloadError: pip failed, or the wheel is not the one that we know.
    """
    wheel = cache_root() / "sources" / package.wheel
    if not (wheel.is_file() and _sha256(wheel) == package.sha256):
        _download(package, wheel)
    return read_wheel(wheel, package.name, suffixes)


def read_wheel(wheel: Path, name: str, suffixes: Iterable[str] = (".py",)) -> SourceTree:
    """The files of a wheel that ``read_tree`` would take, less what is vendored or generated."""
    with zipfile.ZipFile(wheel) as archive:
        readers: dict[PurePath, Callable[[], bytes]] = {
            PurePosixPath(member.filename): partial(archive.read, member)
            for member in archive.infolist()
            if _is_own(member)
        }
        return SourceTree(name, worth_reading(readers, suffixes))


def _download(package: Package, wheel: Path) -> None:
    """Fetch beside the place, verify, then rename: whoever else fetches it too does no harm."""
    wheel.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheel.parent, prefix=".partial-") as scratch:
        requirement = f"{package.name}=={package.version}"
        # We read the sources only: which Python would run them does not matter.
        pip_download(requirement, Path(scratch), "--ignore-requires-python")
        fetched = Path(scratch) / package.wheel
        _verify(fetched, package)
        fetched.replace(wheel)


def _verify(fetched: Path, package: Package) -> None:
    if not fetched.is_file():
        found = ", ".join(sorted(path.name for path in fetched.parent.iterdir())) or "nothing"
        raise DownloadError(
            f"pip should have fetched {package.wheel}, found {found}: check the index or mirror in"
            " pip's settings (`pip config list`), then try again"
        )
    found = _sha256(fetched)
    if found != package.sha256:
        raise DownloadError(
            f"{package.wheel} has sha256 {found}, expected {package.sha256}: the index gave another"
            " file; clear pip's cache (`pip cache purge`) or check the mirror, then try again"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_own(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a file of the package itself, with a path that stays below the root."""
    path = PurePosixPath(member.filename)
    outside = path.is_absolute() or ".." in path.parts or "\\" in member.filename
    # UTF-8 takes at most four bytes a character: what is larger is not even unpacked.
    huge = member.file_size > 4 * MAX_FILE_CHARS
    vendored = not VENDORED_FOLDERS.isdisjoint(path.parts)
    generated = path.name.endswith(GENERATED_ENDINGS)
    return not (member.is_dir() or outside or huge or vendored or generated)
