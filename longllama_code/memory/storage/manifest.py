"""Manifest of a store, in SQLite: the segments, and where their records are."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from longllama_code.errors import StoreError

FILE = "manifest.sqlite"
BUSY_S = 60.0
"""Longest wait for another process, which may be copying records in a collection."""
MIGRATIONS = (
    # 1: one safetensors file for each segment.
    """
    CREATE TABLE segments (
        id TEXT PRIMARY KEY,
        n_tokens INTEGER NOT NULL,
        n_bytes INTEGER NOT NULL,
        checksum TEXT NOT NULL,
        used_at REAL NOT NULL
    ) WITHOUT ROWID;
    """,
    # 2: all segments in one file of records; segments of format 1 are encoded anew.
    """
    DROP TABLE segments;
    CREATE TABLE segments (
        id TEXT PRIMARY KEY,
        start INTEGER NOT NULL,
        n_tokens INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        page_offsets BLOB NOT NULL,
        used_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE files (
        id TEXT PRIMARY KEY,
        pieces BLOB NOT NULL,
        used_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE records (number INTEGER NOT NULL, n_rows INTEGER NOT NULL);
    INSERT INTO records VALUES (0, 0);
    """,
)


class Manifest:
    """Connection to a manifest. All its methods raise ``StoreError`` if SQLite fails.

    Args:
        folder: folder of the file; None keeps the manifest in RAM.

    Raises:
        StoreError: the file is no manifest, or one of a newer version of this package.
    """

    def __init__(self, folder: Path | None) -> None:
        self._name = "memory" if folder is None else str(folder)
        with self._errors():
            path = ":memory:" if folder is None else folder / FILE
            self._connection = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._migrate()

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Execute a statement; return all rows of its result."""
        with self._errors():
            return self._connection.execute(statement, values).fetchall()

    def execute_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Execute a statement once for each row of values."""
        with self._errors():
            self._connection.executemany(statement, rows)

    @contextmanager
    def writing(self) -> Generator[None]:
        """Open a transaction that excludes other writers; an exception rolls it back."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _migrate(self) -> None:
        with self.writing():
            ((version,),) = self.execute("PRAGMA user_version")
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"{self._name} was written by a newer version (format {version}, known: "
                    f"{len(MIGRATIONS)}). Upgrade this package, or set another cache folder."
                )
            for migration in MIGRATIONS[version:]:
                for statement in filter(str.strip, migration.split(";")):
                    self.execute(statement)
            self.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"the manifest in {self._name} failed: {error}; check the disk, or delete "
                "the folder."
            ) from error
