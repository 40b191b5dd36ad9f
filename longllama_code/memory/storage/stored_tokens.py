"""Reading which tokens a store on disk contains, without its model and without changing it.

Used to examine a cache folder, also while an engine writes into it. The format is that of
``store.py`` and ``records.py``: a record fills whole lines of 64 bytes, and its token id is the
last field before the padding, which is zero. So both sizes follow from the records, and each
segment's checksum proves that they are right.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from longllama_code.errors import StoreError
from longllama_code.memory.storage.manifest import BUSY_S, FILE

LINE_BYTES, ID_BYTES = 64, 4
MAX_RECORD_BYTES = 1 << 20
PROBES = 8
"""Number of segments, the smallest ones, from which the sizes are found."""
_SMALLEST = "SELECT id, start, n_tokens, checksum FROM segments ORDER BY n_tokens LIMIT ?"
_ALL = "SELECT id, start, n_tokens, checksum FROM segments ORDER BY start"


@dataclass(frozen=True)
class StoredTokens:
    """Tokens of one stored segment."""

    segment_id: str
    ids: list[int]


@dataclass(frozen=True)
class _Row:
    segment_id: str
    start: int
    n_tokens: int
    checksum: int


def stored_ids(folder: Path) -> set[str]:
    """Return the ids of all segments of a store, damaged ones as well.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    try:
        _, _, rows = _manifest(folder)
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        raise _unreadable(folder, error) from error
    return {row.segment_id for row in rows}


def stored_tokens(folder: Path, without: Set[str] = frozenset()) -> Iterator[StoredTokens]:
    """Yield the tokens of all segments of a store, in the order of their records.

    Damaged segments are left out, as the engine never uses them.

    Args:
        folder: folder of one model's store.
        without: ids of segments that are left out.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    try:
        number, smallest, rows = _manifest(folder)
        if not rows:
            return
        with (folder / f"records-{number}.bin").open("rb") as records:
            n_bytes, column = _sizes(records, smallest)
            for row in (row for row in rows if row.segment_id not in without):
                content = _content(records, row, n_bytes)
                if content is not None:
                    yield StoredTokens(row.segment_id, _ids(content, n_bytes, column))
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> StoreError:
    return StoreError(
        f"the store in {folder} cannot be read: {error}; look again when no engine uses it, or "
        "take an empty cache folder."
    )


def _manifest(folder: Path) -> tuple[int, list[_Row], list[_Row]]:
    """Return the number of the records' file, the smallest segments, and all segments."""
    path = folder / FILE
    if not path.is_file():
        raise StoreError(f"{folder} holds no store; give the folder of one model's memory.")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        connection.execute("BEGIN")  # one state of the manifest for all statements
        ((number,),) = connection.execute("SELECT number FROM records")
        found: Any = connection.execute(_SMALLEST, (PROBES,)).fetchall()
        everything: Any = connection.execute(_ALL).fetchall()
        return number, [_Row(*row) for row in found], [_Row(*row) for row in everything]
    finally:
        connection.close()


def _sizes(records: BinaryIO, smallest: list[_Row]) -> tuple[int, int]:
    """Return the bytes of a record, and where in it the token id begins."""
    sizes = filter(None, (_record_bytes(records, row) for row in smallest))
    n_bytes = next(sizes, None)
    if n_bytes is None:
        raise StoreError("no segment matches its checksum; take an empty cache folder")
    contents = (_content(records, row, n_bytes) for row in smallest)
    columns = [_last_column(content, n_bytes) for content in contents if content is not None]
    return n_bytes, max(columns)


def _record_bytes(records: BinaryIO, row: _Row) -> int | None:
    """Return the size of a record with which a segment matches its checksum."""
    sizes = range(LINE_BYTES, MAX_RECORD_BYTES + 1, LINE_BYTES)
    n_bytes = records.seek(0, 2)
    possible = (size for size in sizes if (row.start + row.n_tokens) * size <= n_bytes)
    return next((size for size in possible if _content(records, row, size) is not None), None)


def _content(records: BinaryIO, row: _Row, n_bytes: int) -> bytes | None:
    """Return the records of a segment, or None if they do not match its checksum."""
    records.seek(row.start * n_bytes)
    content = records.read(row.n_tokens * n_bytes)
    return content if zlib.crc32(content) == row.checksum else None


def _last_column(content: bytes, n_bytes: int) -> int:
    """Return where the last four bytes begin that are not zero in all records."""
    columns = np.frombuffer(content, np.int32).reshape(-1, n_bytes // ID_BYTES).any(axis=0)
    return int(columns.nonzero()[0].max(initial=0)) * ID_BYTES


def _ids(content: bytes, n_bytes: int, column: int) -> list[int]:
    records = np.frombuffer(content, np.uint8).reshape(-1, n_bytes)
    ids = records[:, column : column + ID_BYTES].copy().view(np.int32)[:, 0]
    return ids.tolist()
