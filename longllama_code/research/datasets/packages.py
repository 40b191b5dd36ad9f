"""Python packages as source trees: pinned by a manifest, fetched by pip, read but never run.

    data/<which>_packages.json ──▶ Package ──▶ <cache_root>/sources/<wheel> ──▶ SourceTree

Only wheels are fetched, and their texts are read inside the archive: nothing of a package is
installed, unpacked or built. A wheel that is in the cache needs no network.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal

from longllama_code.model_sources.catalog import DATA, pip_download
from longllama_code.research.datasets.archives import Archive, Client, is_own, obtain
from longllama_code.research.datasets.sources import SourceTree, worth_reading

Which = Literal["evaluation", "training"]

GENERATED_ENDINGS = ("_pb2.py", "_pb2_grpc.py")


@dataclass(frozen=True)
class Package:
    """A release of a package, pinned by its hash.

    Attributes:
        name: its name in the index.
        version: the release.
        wheel: file name of its wheel, which is pure Python.
        sha256: hash of the wheel.
        licence: as its metadata state it.
        n_files: files that are worth reading.
        n_chars: characters in them.
        released_since: day (ISO) before which the index has no wheel of any version, so that
            models trained on older code cannot know the package; empty if unknown.
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
    """Return the packages of a manifest, for training or for evaluation."""
    entries = json.loads((DATA / f"{which}_packages.json").read_text("utf-8"))
    return [Package(**entry) for entry in entries]


def fetch(package: Package, suffixes: Iterable[str] = (".py",)) -> SourceTree:
    """Return the sources of a package, from the cache or else from the user's package index.

    Raises:
        DownloadError: pip failed, or the wheel is not the one that we know.
    """
    requirement = f"{package.name}=={package.version}"
    wheel = obtain(Archive(package.wheel, package.sha256, requirement), PIP)
    return read_wheel(wheel, package.name, suffixes)


def read_wheel(wheel: Path, name: str, suffixes: Iterable[str] = (".py",)) -> SourceTree:
    """Return the files of a wheel as ``read_tree`` does, without vendored and generated ones."""
    with zipfile.ZipFile(wheel) as archive:
        readers: dict[PurePath, Callable[[], bytes]] = {
            PurePosixPath(member.filename): partial(archive.read, member)
            for member in archive.infolist()
            if is_own(member.filename, member.file_size)
            and not (member.is_dir() or member.filename.endswith(GENERATED_ENDINGS))
        }
        return SourceTree(name, worth_reading(readers, suffixes))


def _download(requirement: str, into: Path) -> None:
    # Sources are only read, so warnings about them for this Python do not matter.
    pip_download(requirement, into, "--ignore-requires-python")


PIP = Client("pip", "pip cache purge", _download)
