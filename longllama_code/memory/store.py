"""Encoded segments on disk: immutable files named by what they hold, and a manifest in SQLite.

A segment enters the manifest only when its file is complete on disk, so a process killed at any
point loses at most the segment in flight. A file that no longer matches its checksum is reported,
dropped, and encoded again. Several processes may share one store: as a file's name has its checksum
too, no row of the manifest can come to name what another process wrote, were it off by one bit.
"""

import hashlib
import logging
import os
import sqlite3
import tempfile
import time
from pathlib import Path

import safetensors.torch

from longllama_code.errors import StoreError
from longllama_code.memory.segment import EncodedSegment

logger = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE segments (
        id TEXT PRIMARY KEY,
        n_tokens INTEGER NOT NULL,
        n_bytes INTEGER NOT NULL,
        checksum TEXT NOT NULL,
        used_at REAL NOT NULL
    ) WITHOUT ROWID
    """,
)


class SegmentStore:
    """The store of one model's segments. Used by one thread of each process.

    Raises:
        StoreError: the folder cannot be written, or belongs to a newer version of this package.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.n_damaged = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)  # it is as private as the code that it was made from
            (folder / "segments").mkdir(exist_ok=True, mode=0o700)
            self._manifest = sqlite3.connect(
                folder / "manifest.sqlite",
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
            )
            self._manifest.execute("PRAGMA journal_mode=WAL")
            self._manifest.execute("PRAGMA synchronous=NORMAL")
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{folder} cannot hold the memory store: {error}") from error

    def get(self, segment_id: str) -> EncodedSegment | None:
        """A stored segment; None where there is none, or where it was damaged."""
        row = self._execute("SELECT checksum FROM segments WHERE id = ?", segment_id).fetchone()
        if row is None:
            return None
        path = self._path(segment_id, row[0])
        try:
            data = path.read_bytes()
        except OSError:
            data = b""
        if _checksum(data) != row[0]:
            self._drop_damaged(segment_id, path)
            return None
        self._execute("UPDATE segments SET used_at = ? WHERE id = ?", time.time(), segment_id)
        return EncodedSegment(segment_id, **safetensors.torch.load(data))

    def put(self, segment: EncodedSegment) -> None:
        """Store a segment; a second time changes nothing.

        Raises:
            StoreError: the disk is full or no longer writable.
        """
        tensors = {
            "keys": segment.keys,
            "values": segment.values,
            "ids": segment.ids,
            "page_offsets": segment.page_offsets,
        }
        data = safetensors.torch.save({name: part.contiguous() for name, part in tensors.items()})
        checksum = _checksum(data)
        try:
            _write_whole(self._path(segment.id, checksum), data)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error}") from error
        row = segment.id, segment.n_tokens, len(data), checksum, time.time()
        self._execute("INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?)", *row)

    def __contains__(self, segment_id: str) -> bool:
        row = self._execute("SELECT 1 FROM segments WHERE id = ?", segment_id).fetchone()
        return row is not None

    def totals(self) -> tuple[int, int, int]:
        """Segments, tokens and bytes stored."""
        query = (
            "SELECT COUNT(*), COALESCE(SUM(n_tokens), 0), COALESCE(SUM(n_bytes), 0) FROM segments"
        )
        n_segments, n_tokens, n_bytes = self._execute(query).fetchone()
        return n_segments, n_tokens, n_bytes

    def close(self) -> None:
        """Let go of the manifest."""
        self._manifest.close()

    def _path(self, segment_id: str, checksum: str) -> Path:
        name = f"{segment_id}-{checksum}.safetensors"
        return self._folder / "segments" / segment_id[:2] / name

    def _drop_damaged(self, segment_id: str, path: Path) -> None:
        self.n_damaged += 1
        logger.warning("stored segment %s is damaged; it will be encoded again", segment_id)
        self._execute("DELETE FROM segments WHERE id = ?", segment_id)
        path.unlink(missing_ok=True)

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._manifest.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"the manifest in {self._folder} failed: {error}") from error

    def _migrate(self) -> None:
        self._manifest.execute("BEGIN IMMEDIATE")
        version = self._manifest.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            self._manifest.close()
            raise StoreError(
                f"{self._folder} was written by a newer version (format {version}, known: "
                f"{len(MIGRATIONS)}). Upgrade, or name another cache folder."
            )
        for migration in MIGRATIONS[version:]:
            self._manifest.execute(migration)
        self._manifest.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        self._manifest.execute("COMMIT")


def _checksum(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears complete or not at all."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
