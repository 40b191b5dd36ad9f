"""The file of statistics, in SQLite: a row for each suggestion that was shown.

    statistics/statistics.sqlite   when, language, length, latency ──▶ what became of it

Several servers and the command line use one file at once. Only its owner may read it.
"""

import logging
import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from longllama_code.errors import StoreError
from longllama_code.sqlite_damage import is_damage, is_overwritten, is_read_only_by_header
from lsp_server.statistics.record import CLIENTS, OUTCOMES, Record

logger = logging.getLogger(__name__)

FOLDER, FILE = "statistics", "statistics.sqlite"
SUFFIXES = ("", "-wal", "-shm")
"""Ends of the names of SQLite's files."""
VERSION = 2
"""SQLite's ``user_version`` of the file."""
BUSY_S = 10.0
"""Longest wait for another process, which writes for milliseconds."""
KEPT_S = 400 * 86_400.0
"""Age from which rows are removed."""
_COLUMNS = tuple(item.name for item in fields(Record))
_NUMBERS = ("shown_at", "n_chars", "latency_ms", "confidence", "n_accepted")
_CREATE = """
CREATE TABLE IF NOT EXISTS shown (
    id INTEGER PRIMARY KEY,
    shown_at REAL NOT NULL,
    language TEXT NOT NULL,
    n_chars INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    is_automatic INTEGER NOT NULL,
    confidence INTEGER NOT NULL,
    model INTEGER NOT NULL,
    outcome TEXT,
    n_accepted INTEGER NOT NULL,
    after_30_s TEXT,
    after_5_min TEXT,
    client TEXT NOT NULL
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS shown_at ON shown (shown_at)"
_ADD_CLIENT = "ALTER TABLE shown ADD COLUMN client TEXT NOT NULL DEFAULT 'editor'"
"""Step from version 1, which knew no other clients."""
_INSERT = f"INSERT OR IGNORE INTO shown VALUES ({', '.join('?' * len(_COLUMNS))})"
_UPDATE = (
    "UPDATE shown SET outcome = ?, n_accepted = ?, after_30_s = ?, after_5_min = ? WHERE id = ?"
)


class _DamagedError(StoreError):
    """The file is no database, or parts of it were overwritten."""


class StatisticsFile:
    """Connection to the file. All methods raise ``StoreError`` if it cannot be used.

    May be used from one thread at a time.

    Args:
        cache: the cache folder; what is missing of the path is made.

    Attributes:
        message: for the user, if a damaged file was set aside; else empty.
    """

    def __init__(self, cache: Path) -> None:
        self.path = path_in(cache)
        self.message = ""
        with self._errors():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._connection = self._open()
        except _DamagedError:
            self._connection = self._begin_anew()

    def write(self, new: Iterable[Record], changed: Iterable[Record]) -> None:
        """Add records, and change others; of these, none that was cleared comes back."""
        with self._errors(), self._connection as writing:
            writing.executemany(_INSERT, [astuple(record) for record in new])
            writing.executemany(
                _UPDATE,
                [
                    (each.outcome, each.n_accepted, each.after_30_s, each.after_5_min, each.id)
                    for each in changed
                ],
            )

    def records(self, since: float = 0.0) -> list[Record]:
        """Return the records since a time, in seconds since the epoch; the oldest first."""
        with self._errors():
            found = self._connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM shown WHERE shown_at >= ? ORDER BY shown_at",
                (since,),
            )
            return [record for row in found if (record := _record(row)) is not None]

    def clear(self) -> int:
        """Remove all records; return how many there were."""
        with self._errors():
            with self._connection as writing:
                n_removed = writing.execute("DELETE FROM shown").rowcount
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return n_removed

    def remove_older_than(self, time: float) -> None:
        """Remove the records before a time, in seconds since the epoch."""
        with self._errors(), self._connection as writing:
            writing.execute("DELETE FROM shown WHERE shown_at < ?", (time,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        with self._errors():
            _create(self.path)
            if is_read_only_by_header(self.path):
                raise _DamagedError(f"{self.path} is damaged: its header is.")
            connection = sqlite3.connect(self.path, timeout=BUSY_S, check_same_thread=False)
        try:
            with self._errors():
                self._prepare(connection)
            return connection
        except BaseException:
            connection.close()
            raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if self._version(connection) != VERSION:
            with connection as writing:
                writing.execute("BEGIN IMMEDIATE")  # another process may do the same
                self._bring_up_to_date(writing, self._version(writing))
        ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        list(connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM shown LIMIT 1"))

    def _version(self, connection: sqlite3.Connection) -> int:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        if is_overwritten(version):
            raise _DamagedError(f"{self.path} is damaged: it has the version {version}.")
        if version > VERSION:
            raise StoreError(
                f"{self.path} is of a newer version of this server; update it, or remove the file."
            )
        return version

    def _bring_up_to_date(self, connection: sqlite3.Connection, version: int) -> None:
        if version != VERSION:
            connection.execute(_ADD_CLIENT if version else _CREATE)
            connection.execute(_INDEX)
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _begin_anew(self) -> sqlite3.Connection:
        """Set a damaged file aside."""
        try:
            with FileLock(f"{self.path}.lock", timeout=BUSY_S, mode=0o600):
                try:
                    return self._open()  # another process was faster
                except _DamagedError as damage:
                    aside = self.path.with_name(f"{FILE}.damaged")
                    for suffix in SUFFIXES[1:]:
                        self.path.with_name(FILE + suffix).unlink(missing_ok=True)
                    self.path.replace(aside)
                    self.message = f"{damage} It is set aside as {aside}, and counting begins anew."
                    logger.warning("%s", self.message)
                    return self._open()
        except (OSError, Timeout) as error:
            raise StoreError(f"{self.path} is damaged and cannot be set aside: {error}") from error

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if is_damage(error):
                raise _DamagedError(f"{self.path} is damaged: {error}.") from error
            raise StoreError(f"{self.path} cannot be used: {error}") from error
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used: {error}") from error


def path_in(cache: Path) -> Path:
    """Return the path of the file in a cache folder."""
    return cache / FOLDER / FILE


def _create(path: Path) -> None:
    """Create a file that its owner alone may read; SQLite gives its other files the same rights."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _record(row: tuple[Any, ...]) -> Record | None:
    """Return the record of a row; None if another program wrote what this one never does."""
    values: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    numbers = (values[name] for name in _NUMBERS)
    if not all(isinstance(number, int | float) for number in numbers):
        return None
    if values["outcome"] not in (None, *OUTCOMES) or values["client"] not in CLIENTS:
        return None
    if not isinstance(values["language"], str):
        return None
    values["is_automatic"] = bool(values["is_automatic"])
    return Record(**values)
