"""Archives of published packages: pinned, fetched by the user's package manager, never unpacked.

    Archive ──▶ in the cache? ──▶ <cache_root>/sources/<file>
                  └─ no ──▶ pip or npm ──▶ verified ──┘

Shared by wheels (``packages``) and npm tarballs (``npm_packages``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from longllama_code.errors import DownloadError
from longllama_code.model_sources.fetching import sha256_of
from longllama_code.paths import cache_root
from longllama_code.research.datasets.sources import MAX_FILE_CHARS

VENDORED_FOLDERS = frozenset(
    {"_vendor", "_vendored", "_vendored_packages", "extern", "third_party", "vendor", "vendored"}
)


@dataclass(frozen=True)
class Client:
    """A package manager.

    Attributes:
        name: its command.
        purge: the command that empties its cache.
        download: downloads the archive of a requirement into a folder; raises ``DownloadError``.
    """

    name: str
    purge: str
    download: Callable[[str, Path], None]


@dataclass(frozen=True)
class Archive:
    """A published file, pinned by its hash.

    Attributes:
        file: its name.
        sha256: its hash.
        requirement: argument for the client.
    """

    file: str
    sha256: str
    requirement: str


def obtain(archive: Archive, client: Client) -> Path:
    """Return the archive in the cache; one that is there and whole needs no network.

    Raises:
        DownloadError: the client failed, or the archive is not the one that we know.
    """
    place = cache_root() / "sources" / archive.file
    if not (place.is_file() and sha256_of(place) == archive.sha256):
        _download(archive, client, place)
    return place


def is_own(name: str, size: int) -> bool:
    """Whether a member is the package's own, of a size to be read, with a path below the root."""
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name
    # UTF-8 has at most four bytes per character; larger members are not even unpacked.
    huge = size > 4 * MAX_FILE_CHARS
    return not (outside or huge) and VENDORED_FOLDERS.isdisjoint(path.parts)


def _download(archive: Archive, client: Client, place: Path) -> None:
    """Fetch into a temporary folder, verify, then rename, so concurrent downloads do no harm."""
    place.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial-") as scratch:
        client.download(archive.requirement, Path(scratch))
        fetched = Path(scratch) / archive.file
        _verify(fetched, archive, client)
        fetched.replace(place)


def _verify(fetched: Path, archive: Archive, client: Client) -> None:
    if not fetched.is_file():
        found = ", ".join(sorted(path.name for path in fetched.parent.iterdir())) or "nothing"
        raise DownloadError(
            f"{client.name} should have fetched {archive.file}, found {found}: check the index or"
            f" mirror in {client.name}'s settings (`{client.name} config list`), then try again"
        )
    found = sha256_of(fetched)
    if found != archive.sha256:
        raise DownloadError(
            f"{archive.file} has sha256 {found}, expected {archive.sha256}: the index gave another"
            f" file; clear {client.name}'s cache (`{client.purge}`) or check the mirror, then try"
            " again"
        )
