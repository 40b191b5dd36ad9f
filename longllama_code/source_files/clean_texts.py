"""Cache of texts in which no secret was found, so that they are searched only once.

Searching a file takes longer than loading it from the store. The cache holds a hash of each text,
which is useless without the text, in the user's cache folder.
"""

import hashlib
import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from longllama_code.source_files.secret_scan import rules_identity
from longllama_code.source_files.source_text import refuse_secrets

logger = logging.getLogger(__name__)

FOLDER, FILE = "searched", "clean.sqlite3"
MAX_TEXTS = 1_000_000
"""Maximum number of texts, about 40 MB; beyond it, the cache is emptied."""
_BUSY_TIMEOUT_S = 1.0


class CleanTexts:
    """Owner of the cache file, which several servers may share; thread-safe.

    Args:
        cache: the cache folder; None stores nothing. If the file cannot be written, nothing is
            stored either.
    """

    def __init__(self, cache: Path | None) -> None:
        self._path = None if cache is None else cache / FOLDER / FILE
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def refuse_secrets(self, path: Path, text: str) -> None:
        """Do what ``source_text.refuse_secrets`` does, but search each text only once.

        Raises:
            SourceError: a secret is found.
        """
        key = _key(path, text)
        if not self._knows(key):
            refuse_secrets(path, text)
            self._add(key)

    def clear(self) -> None:
        """Remove every entry."""
        self._execute("DELETE FROM clean")

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None

    def _knows(self, key: bytes) -> bool:
        rows = self._ask("SELECT 1 FROM clean WHERE key = ?", key)
        return bool(rows)

    def _add(self, key: bytes) -> None:
        self._ask("INSERT OR IGNORE INTO clean VALUES (?)", key)

    def _ask(self, statement: str, key: bytes) -> list[tuple[int]]:
        return self._execute(statement, key)

    def _execute(self, statement: str, *values: bytes) -> list[tuple[int]]:
        with self._lock:
            if self._path is None:
                return []
            try:
                if self._database is None:
                    self._database = _opened(self._path)
                return self._database.execute(statement, values).fetchall()
            except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
                logger.warning("%s is not used: %s", self._path, error)
                self._path = None
                return []


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _prepared(path)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: a damaged schema
        if isinstance(error, sqlite3.OperationalError):
            raise
        logger.warning("%s is damaged, and begun anew: %s", path, error)
        path.unlink()
        return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        # Entries lost in a crash are found out again.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("CREATE TABLE IF NOT EXISTS clean (key BLOB PRIMARY KEY) WITHOUT ROWID")
        with closing(database.execute("SELECT count(*) FROM clean")) as counted:
            if counted.fetchone()[0] > MAX_TEXTS:
                database.execute("DELETE FROM clean")
    except (sqlite3.Error, UnicodeDecodeError):
        database.close()
        raise
    return database


def _key(path: Path, text: str) -> bytes:
    """Return the key of a text and its search rules, which depend on the file's suffix."""
    salt = f"{rules_identity()}\0{path.suffix}\0"
    return hashlib.blake2b((salt + text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
