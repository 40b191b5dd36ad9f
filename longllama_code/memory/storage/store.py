"""Store of encoded segments: a file of records that only grows, and a manifest in SQLite.

A segment enters the manifest once its records are on disk. A process killed at any point loses at
most the segment being written, and the next segment overwrites its rows. Records are read through a
mapping that processes share. A segment that does not match its checksum is logged, dropped, and
encoded again. A collection writes the segments that it keeps into a new file; a process that maps
the old file continues to read it, and switches at its next write.
"""

from __future__ import annotations

import logging
import shutil
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longllama_code.errors import StoreError
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.storage.manifest import open_manifest
from longllama_code.memory.storage.record_file import RecordBuffer, RecordStorage, open_records
from longllama_code.memory.storage.resident import DeviceRoom, ResidentRecords

logger = logging.getLogger(__name__)

USE_STEP_S = 3600.0
"""Precision of a segment's time of use, so that frequent reads do not write as often."""
KEPT_SHARE = 0.5
"""Share of the size limit that a collection keeps; it copies as much."""
COPY_ROWS = 65_536


@dataclass(frozen=True)
class StoredSegment:
    """Segment in a store, with the position of its records."""

    id: str
    """Hash of the model, the encoder's version, the path header and the text."""
    start: int
    """First row in the store's records."""
    n_tokens: int
    page_offsets: tuple[int, ...]
    """Offset of each page in the segment's text; the last is the end."""


class SegmentStore:
    """Store of one model's segments. Only one thread of each process may use it.

    Args:
        folder: folder of the store; None keeps it in RAM.
        record_bytes: bytes of a record.
        max_bytes: most bytes of all records; above it, segments used longest ago are removed. None
            sets no limit.
        room: budget on the device that reads the records; None reads them on the CPU.

    Raises:
        StoreError: the folder cannot be written, or belongs to a newer version of this package.
    """

    def __init__(
        self,
        folder: Path | None,
        record_bytes: int,
        max_bytes: int | None = None,
        room: DeviceRoom | None = None,
    ) -> None:
        self._folder, self._record_bytes, self._max_bytes = folder, record_bytes, max_bytes
        self._room = room
        self.n_damaged = 0
        self._intact: set[str] = set()
        if folder is not None:
            _make_private(folder)
        self._manifest, self.notice = open_manifest(folder)
        """Message for the user if a damaged manifest was set aside."""
        self._number, self._n_rows = -1, 0
        self._records = self._on_device(RecordBuffer(record_bytes))
        with self._manifest.writing():
            self._catch_up()
            self._remove_orphans()

    @property
    def records(self) -> RecordStorage:
        """Storage of the records; a collection by any process replaces it by another object."""
        return self._records

    @property
    def persists(self) -> bool:
        """Whether the store is on disk."""
        return self._folder is not None

    @property
    def is_full(self) -> bool:
        """Whether the records exceed the limit, so a collection is due."""
        return self._max_bytes is not None and self._n_rows * self._record_bytes > self._max_bytes

    def find(self, segment_id: str) -> StoredSegment | None:
        """Return a stored segment, or None if there is none or it is damaged."""
        while True:
            row = self._row(segment_id)
            if row is None:
                return None
            number, start, n_tokens, checksum, offsets, used_at = row
            if number == self._number:
                break
            with self._manifest.writing():
                self._catch_up()
        if not self._is_intact(segment_id, start, n_tokens, checksum):
            return None
        self._note_use("segments", segment_id, used_at)
        pages = tuple(np.frombuffer(offsets, np.int32).tolist())
        return StoredSegment(segment_id, start, n_tokens, pages)

    def put(self, segment_id: str, records: Tensor, page_offsets: Collection[int]) -> StoredSegment:
        """Store a segment; if it is stored already, change nothing.

        Raises:
            StoreError: the disk is full or no longer writable.
        """
        pages = np.array([*page_offsets], np.int32)
        with self._manifest.writing():
            self._catch_up()
            if not self._execute("SELECT 1 FROM segments WHERE id = ?", segment_id):
                self._append(segment_id, records, pages)
        found = self.find(segment_id)
        if found is None:
            raise StoreError(
                f"segment {segment_id} was just written to {self._folder} and cannot be read; "
                "check the disk, or set another cache folder."
            )
        return found

    def content(self, segment: StoredSegment) -> Tensor:
        """Return the records of a segment that ``find`` returned, uint8 (n, bytes)."""
        return self._records.rows[segment.start : segment.start + segment.n_tokens]

    def __contains__(self, segment_id: str) -> bool:
        return self._row(segment_id) is not None

    def totals(self) -> tuple[int, int, int]:
        """Return the numbers of stored segments, tokens and bytes."""
        query = "SELECT COUNT(*), COALESCE(SUM(n_tokens), 0) FROM segments"
        ((n_segments, n_tokens),) = self._execute(query)
        return n_segments, n_tokens, n_tokens * self._record_bytes

    def pieces(self, file_id: str) -> list[Slice] | None:
        """Return how a file is cut, or None if ``put_pieces`` did not store it."""
        rows = self._execute("SELECT pieces, used_at FROM files WHERE id = ?", file_id)
        if not rows:
            return None
        ((blob, used_at),) = rows
        self._note_use("files", file_id, used_at)
        numbers = np.frombuffer(blob, np.int32).reshape(-1, 4)
        return [Slice(*row) for row in numbers.tolist()]

    def put_pieces(self, file_id: str, pieces: list[Slice]) -> None:
        """Store how a file is cut, which takes longer to find out than reading its segments."""
        numbers = [(p.start, p.end, p.first_line, p.last_line) for p in pieces]
        blob = np.array(numbers, np.int32).tobytes()
        insert = "INSERT OR REPLACE INTO files VALUES (?, ?, ?)"
        self._execute(insert, file_id, blob, time.time())

    def collect(self, in_use: Collection[str] = (), max_bytes: int | None = None) -> int:
        """Remove segments used longest ago, until the rest fits; return how many were removed.

        Args:
            in_use: segments that are kept whatever their age.
            max_bytes: most bytes to keep, these included; None keeps half of the store's limit.

        Raises:
            StoreError: the disk is too full for the records that are kept, or the manifest failed;
                nothing is removed then.
        """
        if max_bytes is None:
            max_bytes = round(KEPT_SHARE * (self._max_bytes or 0))
        with self._manifest.writing():
            self._catch_up()
            kept, removed = self._choose(set(in_use), max_bytes)
            moved = self._copied(kept)
            self._update_manifest(kept, removed)
            if self._folder is None:  # the manifest names no file to open
                self._switch(moved)
            else:
                moved.close()
        with self._manifest.writing():
            self._catch_up()
            self._remove_orphans()
        return len(removed)

    def close(self) -> None:
        """Close the files."""
        self._manifest.close()
        self._records.close()

    def _append(self, segment_id: str, records: Tensor, pages: np.ndarray) -> None:
        start, checksum = self._n_rows, _checksum(records)
        try:
            self._records.write(start, records)
        except OSError as error:
            raise StoreError(
                f"{self._folder} cannot be written: {error}; free some disk space, or set another "
                "cache folder."
            ) from error
        row = segment_id, start, len(records), checksum, pages.tobytes(), time.time()
        self._execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", *row)
        self._execute("UPDATE records SET n_rows = ?", start + len(records))
        self._n_rows = start + len(records)
        self._records.cover(self._n_rows)
        self._intact.add(segment_id)

    def _row(self, segment_id: str) -> tuple[int, int, int, int, bytes, float] | None:
        query = (
            "SELECT number, start, n_tokens, checksum, page_offsets, used_at "
            "FROM segments, records WHERE id = ?"
        )
        rows = self._execute(query, segment_id)
        return rows[0] if rows else None

    def _catch_up(self) -> None:
        """Read the manifest, and switch to another file of records if a collection wrote one."""
        ((number, self._n_rows),) = self._execute("SELECT number, n_rows FROM records")
        if number != self._number:
            self._number = number
            if self._folder is not None:
                self._switch(self._open(number))
        self._records.cover(self._n_rows)  # another process may have written since

    def _switch(self, records: RecordStorage) -> None:
        self._records.close()
        self._records = records
        self._intact.clear()

    def _open(self, number: int) -> RecordStorage:
        if self._folder is None:
            return self._on_device(RecordBuffer(self._record_bytes))
        return self._on_device(open_records(self._path(number), self._record_bytes))

    def _on_device(self, records: RecordStorage) -> RecordStorage:
        """Return storage that reads records on the model's device."""
        if self._room is None:
            return records
        return ResidentRecords(records, self._record_bytes, self._room)

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"records-{number}.bin"

    def _is_intact(self, segment_id: str, start: int, n_tokens: int, checksum: int) -> bool:
        """Whether a segment matches its checksum, which is computed once."""
        if segment_id in self._intact:
            return True
        end = start + n_tokens
        if not self._records.cover(end) or _checksum(self._records.rows[start:end]) != checksum:
            self.n_damaged += 1
            logger.warning("stored segment %s is damaged; it will be encoded again", segment_id)
            self._execute("DELETE FROM segments WHERE id = ?", segment_id)
            return False
        self._intact.add(segment_id)
        return True

    def _note_use(self, table: str, row_id: str, used_at: float) -> None:
        now = time.time()
        if used_at < now - USE_STEP_S:
            self._execute(f"UPDATE {table} SET used_at = ? WHERE id = ?", now, row_id)

    def _choose(
        self, in_use: set[str], max_bytes: int
    ) -> tuple[list[tuple[str, int, int]], list[str]]:
        """Return the segments to keep, with start and length, in order of rows; ids of the rest."""
        latest = (
            "SELECT id, start, n_tokens FROM segments WHERE start + n_tokens <= ? "
            "ORDER BY used_at DESC, id"
        )
        # A file that was truncated has fewer rows than the manifest says.
        rows: list[tuple[str, int, int]] = self._execute(latest, len(self._records.rows))
        rows.sort(key=lambda row: row[0] not in in_use)
        kept: list[tuple[str, int, int]] = []
        n_bytes = 0
        for row in rows:
            n_bytes += row[2] * self._record_bytes
            if n_bytes > max_bytes and row[0] not in in_use:
                break
            kept.append(row)
        stays = {row[0] for row in kept}
        removed = [id for (id,) in self._execute("SELECT id FROM segments") if id not in stays]
        return sorted(kept, key=lambda row: row[1]), removed

    def _copied(self, kept: list[tuple[str, int, int]]) -> RecordStorage:
        """Return a new storage with the records of some segments alone."""
        moved, n_rows = self._open(self._number + 1), 0
        try:
            for batch in _batches(kept):
                rows = torch.cat([self._records.rows[start : start + n] for _, start, n in batch])
                moved.write(n_rows, rows)
                n_rows += len(rows)
        except OSError as error:
            moved.close()
            raise StoreError(
                f"{self._folder} has no room for a collection: {error}; free some disk space, or "
                "lower the limit of the store."
            ) from error
        return moved

    def _update_manifest(self, kept: list[tuple[str, int, int]], removed: list[str]) -> None:
        """Let the manifest name the new storage, and the kept segments' positions there."""
        starts = accumulate((n for _, _, n in kept), initial=0)
        moves = [(start, id) for start, (id, _, _) in zip(starts, kept, strict=False)]
        self._manifest.execute_many("DELETE FROM segments WHERE id = ?", [(id,) for id in removed])
        self._manifest.execute_many("UPDATE segments SET start = ? WHERE id = ?", moves)
        oldest = "SELECT COALESCE(MIN(used_at), 1e18) FROM segments"
        self._execute(f"DELETE FROM files WHERE used_at < ({oldest})")
        n_rows = sum(n for _, _, n in kept)
        self._execute("UPDATE records SET number = number + 1, n_rows = ?", n_rows)

    def _remove_orphans(self) -> None:
        """Remove files that the manifest no longer names; its lock excludes writers."""
        if self._folder is None:
            return
        for path in self._folder.glob("records-*.bin"):
            if path != self._path(self._number):
                _try_remove(path)
        shutil.rmtree(self._folder / "segments", ignore_errors=True)  # of the first format

    def _execute(self, statement: str, *values: object) -> list[Any]:
        return self._manifest.execute(statement, *values)


def _make_private(folder: Path) -> None:
    """Make a folder that only its owner can read, since records reveal the code behind them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot hold the memory store: {error}; make it writable, or set another "
            "cache folder."
        ) from error


def _checksum(records: Tensor) -> int:
    return zlib.crc32(records.contiguous().numpy().data)


def _batches(segments: list[tuple[str, int, int]]) -> Iterator[list[tuple[str, int, int]]]:
    """Yield segments in batches of about ``COPY_ROWS`` rows."""
    batch: list[tuple[str, int, int]] = []
    for segment in segments:
        batch.append(segment)
        if sum(n for _, _, n in batch) >= COPY_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _try_remove(path: Path) -> None:
    """Remove a file; one that is mapped cannot be removed on Windows, and a later call will."""
    with suppress(OSError):
        path.unlink()
