"""Manifest of a store, in SQLite: the segments, and where their records are."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from longllama_code.errors import StoreError
from longllama_code.sqlite_damage import is_damage, is_overwritten, is_read_only_by_header

logger = logging.getLogger(__name__)

FILE = "manifest.sqlite"
DAMAGED_FILE = f"{FILE}.damaged"
"""Name of a damaged manifest that was set aside."""
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


class DamagedManifest(StoreError):  # noqa: N818 - a state of the disk
    """The file is no manifest, or parts of it were overwritten."""


def open_manifest(folder: Path | None) -> tuple[Manifest, str | None]:
    """Open a manifest; set a damaged one aside, with its records, and begin anew.

    Returns:
        The manifest, and a message for the user if one was set aside.

    Raises:
        StoreError: it cannot be used, or a damaged one cannot be set aside.
    """
    try:
        return Manifest(folder), None
    except DamagedManifest as damage:
        assert folder is not None, "RAM is not damaged"
        try:
            with FileLock(folder / f"{FILE}.lock", timeout=BUSY_S):
                return _begun_anew(folder)
        except (OSError, Timeout) as error:
            raise StoreError(f"{damage} It cannot be set aside: {error}") from error


def _begun_anew(folder: Path) -> tuple[Manifest, str | None]:
    """Set a damaged manifest aside; the caller holds the lock for this."""
    try:
        return Manifest(folder), None  # another process was faster
    except DamagedManifest:
        for path in (*folder.glob("records-*.bin"), *folder.glob(f"{FILE}-*")):
            path.unlink(missing_ok=True)  # nothing else says what they hold
        aside = folder / DAMAGED_FILE
        (folder / FILE).replace(aside)
        message = f"{folder} was damaged: {aside} is set aside, and files are encoded again."
        logger.warning("%s", message)
        return Manifest(folder), message


class Manifest:
    """Connection to a manifest. All its methods raise ``StoreError`` if SQLite fails.

    Args:
        folder: folder of the file; None keeps the manifest in RAM.

    Raises:
        DamagedManifest: the file is no manifest, or was damaged.
        StoreError: it cannot be used, or is one of a newer version of this package.
    """

    def __init__(self, folder: Path | None) -> None:
        self._name = "memory" if folder is None else str(folder)
        with self._errors():
            path = ":memory:" if folder is None else folder / FILE
            if isinstance(path, Path) and is_read_only_by_header(path):
                raise DamagedManifest(f"the manifest in {self._name} is damaged: its header is.")
            self._connection = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
        try:
            self.execute("PRAGMA journal_mode=WAL")
            self.execute("PRAGMA synchronous=NORMAL")
            self._migrate()
            self._check()
        except BaseException:
            self.close()
            raise

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

    def _check(self) -> None:
        """Look for damage, which would else be met by some later statement, at every start."""
        ((found,),) = self.execute("PRAGMA quick_check(1)")
        if found != "ok" or len(self.execute("SELECT number, n_rows FROM records")) != 1:
            raise DamagedManifest(f"the manifest in {self._name} is damaged: {found}")
        self.execute("SELECT start, n_tokens, checksum, page_offsets FROM segments LIMIT 1")
        self.execute("SELECT pieces, used_at FROM files LIMIT 1")

    def _migrate(self) -> None:
        with self.writing():
            ((version,),) = self.execute("PRAGMA user_version")
            if is_overwritten(version):
                raise DamagedManifest(f"the manifest in {self._name} has the version {version}.")
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
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            if is_damage(error):
                raise DamagedManifest(
                    f"the manifest in {self._name} is damaged: {error}; the next start begins anew."
                ) from error
            raise StoreError(
                f"the manifest in {self._name} failed: {error}; check the disk, or delete "
                "the folder."
            ) from error
