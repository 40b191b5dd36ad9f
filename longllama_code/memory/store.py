"""Encoded segments on disk: immutable files named by what they hold, and a manifest in SQLite.

A segment enters the manifest only when its file is complete on disk, so a process killed at any
point loses at most the segment in flight. A file that no longer matches its checksum is reported,
dropped, and encoded again. Several processes may share one store: as a file's name has its checksum
too, no row of the manifest can come to name what another process wrote, were it off by one bit.
Above its size limit, the segments that were used longest ago are removed.
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


USE_STEP_S = 3600.0
"""A segment's last use is noted to the hour: what is read often is not written as often."""
KEPT_SHARE = 0.9
"""Of the size limit, what is left after a collection, so that not each segment collects."""
ORPHAN_S = 3600.0
"""A file that no row names is removed when it is as old; younger, its row may be on its way."""


class SegmentStore:
    """The store of one model's segments. Used by one thread of each process.

    Args:
        folder: where it is.
        max_bytes: of all segments; the limit may be passed by one of them. Absent, none.

    Raises:
        StoreError: the folder cannot be written, or belongs to a newer version of this package.
    """

    def __init__(self, folder: Path, max_bytes: int | None = None) -> None:
        self._folder, self._max_bytes = folder, max_bytes
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
            self._n_bytes = self.totals()[2]
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
        except FileNotFoundError:
            if segment_id not in self:  # another process has collected it since
                return None
            data = b""
        except OSError:
            data = b""
        if _checksum(data) != row[0]:
            self._drop_damaged(segment_id, path)
            return None
        now = time.time()
        used = "UPDATE segments SET used_at = ? WHERE id = ? AND used_at < ?"
        self._execute(used, now, segment_id, now - USE_STEP_S)
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
        self._n_bytes += len(data)
        if self._max_bytes is not None and self._n_bytes > self._max_bytes:
            self.collect(round(KEPT_SHARE * self._max_bytes))

    def collect(self, max_bytes: int) -> int:
        """Remove what was used longest ago, until the rest fits; how many segments were removed.

        Files that a killed process left behind go as well.

        Raises:
            StoreError: the manifest failed.
        """
        oldest = "SELECT id, checksum, n_bytes FROM segments ORDER BY used_at, id"
        n_bytes, gone = self.totals()[2], list[tuple[str, str]]()
        for segment_id, checksum, size in self._execute(oldest).fetchall():
            if n_bytes <= max_bytes:
                break
            gone.append((segment_id, checksum))
            n_bytes -= size
        # Rows first: a row whose file is gone would count as damage.
        try:
            with self._manifest:
                self._manifest.execute("BEGIN IMMEDIATE")
                delete = "DELETE FROM segments WHERE id = ? AND checksum = ?"
                self._manifest.executemany(delete, gone)
        except sqlite3.Error as error:
            raise StoreError(f"the manifest in {self._folder} failed: {error}") from error
        for segment_id, checksum in gone:
            self._path(segment_id, checksum).unlink(missing_ok=True)
        self._remove_orphans()
        self._n_bytes = self.totals()[2]
        return len(gone)

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

    def _remove_orphans(self) -> None:
        """Remove files that no row names, and that are too old for one that is being written."""
        rows = self._execute("SELECT id, checksum FROM segments").fetchall()
        named = {self._path(segment_id, checksum) for segment_id, checksum in rows}
        for path in (self._folder / "segments").glob("*/*"):
            if path not in named and _age_s(path) > ORPHAN_S:
                path.unlink(missing_ok=True)

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


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


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
