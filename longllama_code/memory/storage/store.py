"""Encoded segments: a file of records that only grows, and a manifest in SQLite.

A segment enters the manifest only when its records are on disk, so a process killed at any point
loses at most the segment in flight, whose rows the next one takes. Records are read where they
lie, through a mapping: what was encoded once is back at once, and processes share it. A segment
that no longer matches its checksum is reported, dropped, and encoded again. A collection writes
what it keeps into a new file; who maps the old one reads on there, and moves at the next write.
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
from longllama_code.memory.storage.manifest import Manifest
from longllama_code.memory.storage.record_file import RecordBuffer, Records, open_records
from longllama_code.memory.storage.resident import DeviceRoom, ResidentRecords

logger = logging.getLogger(__name__)

USE_STEP_S = 3600.0
"""A segment's last use is noted to the hour: what is read often is not written as often."""
KEPT_SHARE = 0.5
"""Of the size limit, what a collection leaves, as it copies that much."""
COPY_ROWS = 65_536


@dataclass(frozen=True)
class StoredSegment:
    """Where the records of a segment are."""

    id: str
    """Hash of the model, the encoder's version, the path header and the text."""
    start: int
    """Its first row in the store's records."""
    n_tokens: int
    page_offsets: tuple[int, ...]
    """Where each page begins in the segment's text; the last is its end."""


class SegmentStore:
    """The store of one model's segments. Used by one thread of each process.

    Args:
        folder: where it is; None keeps all in RAM.
        record_bytes: of a token.
        max_bytes: of all records: above it, what was used longest ago goes. Absent, none.
        room: what records may take of the device that reads them; absent, the CPU does.

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
        self._sound: set[str] = set()
        if folder is not None:
            _make_private(folder)
        self._manifest = Manifest(folder)
        self._number, self._n_rows = -1, 0
        self._records = self._seen(RecordBuffer(record_bytes))
        with self._manifest.writing():
            self._catch_up()
            self._remove_orphans()

    @property
    def records(self) -> Records:
        """The records; another object after a collection, of this process or another."""
        return self._records

    @property
    def persists(self) -> bool:
        """Whether it is on disk."""
        return self._folder is not None

    @property
    def is_full(self) -> bool:
        """Whether its limit asks for a collection."""
        return self._max_bytes is not None and self._n_rows * self._record_bytes > self._max_bytes

    def find(self, segment_id: str) -> StoredSegment | None:
        """A stored segment; None where there is none, or where it was damaged."""
        while True:
            row = self._row(segment_id)
            if row is None:
                return None
            number, start, n_tokens, checksum, offsets, used_at = row
            if number == self._number:
                break
            with self._manifest.writing():
                self._catch_up()
        if not self._is_sound(segment_id, start, n_tokens, checksum):
            return None
        self._note_use("segments", segment_id, used_at)
        pages = tuple(np.frombuffer(offsets, np.int32).tolist())
        return StoredSegment(segment_id, start, n_tokens, pages)

    def put(self, segment_id: str, records: Tensor, page_offsets: Collection[int]) -> StoredSegment:
        """Store a segment; a second time changes nothing.

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
            raise StoreError(f"{self._folder} does not hold what was just written to it")
        return found

    def content(self, segment: StoredSegment) -> Tensor:
        """The records of a segment that was found, uint8 (n, bytes)."""
        return self._records.rows[segment.start : segment.start + segment.n_tokens]

    def __contains__(self, segment_id: str) -> bool:
        return self._row(segment_id) is not None

    def totals(self) -> tuple[int, int, int]:
        """Segments, tokens and bytes stored."""
        query = "SELECT COUNT(*), COALESCE(SUM(n_tokens), 0) FROM segments"
        ((n_segments, n_tokens),) = self._execute(query)
        return n_segments, n_tokens, n_tokens * self._record_bytes

    def pieces(self, file_id: str) -> list[Slice] | None:
        """How the file of that text is cut, where ``put_pieces`` told of it."""
        rows = self._execute("SELECT pieces, used_at FROM files WHERE id = ?", file_id)
        if not rows:
            return None
        ((blob, used_at),) = rows
        self._note_use("files", file_id, used_at)
        numbers = np.frombuffer(blob, np.int32).reshape(-1, 4)
        return [Slice(*row) for row in numbers.tolist()]

    def put_pieces(self, file_id: str, pieces: list[Slice]) -> None:
        """Keep how a file is cut: to find that out takes longer than to read its segments."""
        numbers = [(p.start, p.end, p.first_line, p.last_line) for p in pieces]
        blob = np.array(numbers, np.int32).tobytes()
        insert = "INSERT OR REPLACE INTO files VALUES (?, ?, ?)"
        self._execute(insert, file_id, blob, time.time())

    def collect(self, held: Collection[str] = (), max_bytes: int | None = None) -> int:
        """Remove what was used longest ago, until the rest fits; how many segments were removed.

        Args:
            held: segments that stay whatever their age.
            max_bytes: to keep of the others and these; absent, half of the store's limit.

        Raises:
            StoreError: the disk has no room for what is kept, or the manifest failed; all is then
                as it was.
        """
        if max_bytes is None:
            max_bytes = round(KEPT_SHARE * (self._max_bytes or 0))
        with self._manifest.writing():
            self._catch_up()
            kept, gone = self._choose(set(held), max_bytes)
            moved = self._copied(kept)
            self._tell(kept, gone)
            if self._folder is None:  # its records are nowhere but here
                self._switch(moved)
            else:
                moved.close()
        with self._manifest.writing():
            self._catch_up()
            self._remove_orphans()
        return len(gone)

    def close(self) -> None:
        """Let go of the files."""
        self._manifest.close()
        self._records.close()

    def _append(self, segment_id: str, records: Tensor, pages: np.ndarray) -> None:
        start, checksum = self._n_rows, _checksum(records)
        try:
            self._records.write(start, records)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error}") from error
        row = segment_id, start, len(records), checksum, pages.tobytes(), time.time()
        self._execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", *row)
        self._execute("UPDATE records SET n_rows = ?", start + len(records))
        self._n_rows = start + len(records)
        self._records.cover(self._n_rows)
        self._sound.add(segment_id)

    def _row(self, segment_id: str) -> tuple[int, int, int, int, bytes, float] | None:
        query = (
            "SELECT number, start, n_tokens, checksum, page_offsets, used_at "
            "FROM segments, records WHERE id = ?"
        )
        rows = self._execute(query, segment_id)
        return rows[0] if rows else None

    def _catch_up(self) -> None:
        """Read where the records are and how many, and move to where a collection put them."""
        ((number, self._n_rows),) = self._execute("SELECT number, n_rows FROM records")
        if number != self._number:
            self._number = number
            if self._folder is not None:
                self._switch(self._open(number))
        self._records.cover(self._n_rows)  # another process may have written since

    def _switch(self, records: Records) -> None:
        self._records.close()
        self._records = records
        self._sound.clear()

    def _open(self, number: int) -> Records:
        if self._folder is None:
            return self._seen(RecordBuffer(self._record_bytes))
        return self._seen(open_records(self._path(number), self._record_bytes))

    def _seen(self, records: Records) -> Records:
        """Records as they are read from where the model is."""
        if self._room is None:
            return records
        return ResidentRecords(records, self._record_bytes, self._room)

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"records-{number}.bin"

    def _is_sound(self, segment_id: str, start: int, n_tokens: int, checksum: int) -> bool:
        """Whether records are what was written; each segment is looked at once."""
        if segment_id in self._sound:
            return True
        end = start + n_tokens
        if not self._records.cover(end) or _checksum(self._records.rows[start:end]) != checksum:
            self.n_damaged += 1
            logger.warning("stored segment %s is damaged; it will be encoded again", segment_id)
            self._execute("DELETE FROM segments WHERE id = ?", segment_id)
            return False
        self._sound.add(segment_id)
        return True

    def _note_use(self, table: str, row_id: str, used_at: float) -> None:
        now = time.time()
        if used_at < now - USE_STEP_S:
            self._execute(f"UPDATE {table} SET used_at = ? WHERE id = ?", now, row_id)

    def _choose(
        self, held: set[str], max_bytes: int
    ) -> tuple[list[tuple[str, int, int]], list[str]]:
        """Segments to keep, with start and length, in the order of their rows; ids of the rest."""
        latest = (
            "SELECT id, start, n_tokens FROM segments WHERE start + n_tokens <= ? "
            "ORDER BY used_at DESC, id"
        )
        rows: list[tuple[str, int, int]] = self._execute(
            latest, len(self._records.rows)
        )  # a file that was cut has fewer
        rows.sort(key=lambda row: row[0] not in held)  # held ones first, which stay as they were
        kept: list[tuple[str, int, int]] = []
        n_bytes = 0
        for row in rows:
            n_bytes += row[2] * self._record_bytes
            if n_bytes > max_bytes and row[0] not in held:
                break
            kept.append(row)
        stays = {row[0] for row in kept}
        gone = [id for (id,) in self._execute("SELECT id FROM segments") if id not in stays]
        return sorted(kept, key=lambda row: row[1]), gone

    def _copied(self, kept: list[tuple[str, int, int]]) -> Records:
        """The next records: those of some segments, without what was between them."""
        moved, n_rows = self._open(self._number + 1), 0
        try:
            for batch in _batches(kept):
                rows = torch.cat([self._records.rows[start : start + n] for _, start, n in batch])
                moved.write(n_rows, rows)
                n_rows += len(rows)
        except OSError as error:
            moved.close()
            raise StoreError(f"{self._folder} has no room for a collection: {error}") from error
        return moved

    def _tell(self, kept: list[tuple[str, int, int]], gone: list[str]) -> None:
        """Let the manifest name the next records."""
        starts = accumulate((n for _, _, n in kept), initial=0)
        moves = [(start, id) for start, (id, _, _) in zip(starts, kept, strict=False)]
        self._manifest.execute_many("DELETE FROM segments WHERE id = ?", [(id,) for id in gone])
        self._manifest.execute_many("UPDATE segments SET start = ? WHERE id = ?", moves)
        oldest = "SELECT COALESCE(MIN(used_at), 1e18) FROM segments"
        self._execute(f"DELETE FROM files WHERE used_at < ({oldest})")
        n_rows = sum(n for _, _, n in kept)
        self._execute("UPDATE records SET number = number + 1, n_rows = ?", n_rows)

    def _remove_orphans(self) -> None:
        """Remove files that the manifest no longer names: the lock says that nobody writes one."""
        if self._folder is None:
            return
        for path in self._folder.glob("records-*.bin"):
            if path != self._path(self._number):
                _try_remove(path)
        shutil.rmtree(self._folder / "segments", ignore_errors=True)  # of the first format

    def _execute(self, statement: str, *values: object) -> list[Any]:
        return self._manifest.execute(statement, *values)


def _make_private(folder: Path) -> None:
    """A folder for its owner alone: it is as private as the code that it was made from."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StoreError(f"{folder} cannot hold the memory store: {error}") from error


def _checksum(records: Tensor) -> int:
    return zlib.crc32(records.contiguous().numpy().data)


def _batches(segments: list[tuple[str, int, int]]) -> Iterator[list[tuple[str, int, int]]]:
    """Segments, about ``COPY_ROWS`` rows at a time."""
    batch: list[tuple[str, int, int]] = []
    for segment in segments:
        batch.append(segment)
        if sum(n for _, _, n in batch) >= COPY_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _try_remove(path: Path) -> None:
    """Where a system keeps a file that somebody maps, it goes at a later collection."""
    with suppress(OSError):
        path.unlink()
