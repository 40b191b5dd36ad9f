"""Cache on disk of the facts of texts.

    definitions.sqlite   sha256 of readers, language and text ──▶ facts as JSON, deflated

It can be deleted at any time: facts that are missing or unreadable are read from the text again.
Several processes may use one file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Binding, Definition, FileFacts, Import

logger = logging.getLogger(__name__)

FILE = "definitions.sqlite"
APPLICATION = 0x4C4C4446
"""SQLite's ``application_id`` of the file."""
BUSY_S = 5.0
MAX_KEPT = 100_000
"""Maximum number of texts; the oldest entries are removed first."""
MAX_JSON_BYTES = 16 << 20
"""Maximum size of one text's facts; anything larger was not written by this module."""
SUFFIXES = ("", "-wal", "-shm")
"""Ends of the names of SQLite's files."""
BATCH = 64
"""Number of texts that are written in one transaction."""
KINDS = frozenset(("function", "method", "class", "constant", "attribute"))

Fact = TypeVar("Fact", Definition, Import, Binding)


class FactCache:
    """Reader of facts with a cache on disk.

    Args:
        folder: folder of the cache file, created if needed. If that fails, nothing is cached.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._waiting: dict[bytes, bytes] = {}
        self._connection: sqlite3.Connection | None = None
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except (sqlite3.OperationalError, OSError) as error:
            self._give_up(error)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._build_again(error)

    def read(self, path: str, text: str) -> FileFacts:
        """Return the facts of a text, in the language of its path."""
        language = language_of(path)
        if language is None:
            return FileFacts()
        key = _key(language.name, path, text)
        known = self._known(key)
        if known is not None:
            return known
        facts = language.read(text)
        self._waiting[key] = zlib.compress(to_json(facts), 1)
        if len(self._waiting) >= BATCH:
            self.flush()
        return facts

    def flush(self) -> None:
        """Write pending facts to disk."""
        rows, self._waiting = list(self._waiting.items()), {}
        if self._connection is None or not rows:
            return
        try:
            with self._connection as writing:
                writing.executemany("INSERT OR REPLACE INTO facts (key, said) VALUES (?, ?)", rows)
                writing.execute(
                    "DELETE FROM facts WHERE rowid <= (SELECT max(rowid) FROM facts) - ?",
                    (MAX_KEPT,),
                )
        except sqlite3.OperationalError as error:  # locked by another process, or the disk is full
            logger.info("%s: %s; these facts were not cached", self._path, error)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._build_again(error)

    def clear(self) -> int:
        """Remove all facts; return by how many bytes the cache is smaller."""
        self._waiting.clear()
        before = self._n_bytes()
        if self._connection is None:
            return 0
        try:
            with self._connection as writing:
                writing.execute("DELETE FROM facts")
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError as error:  # another process reads or writes
            logger.info("%s: %s; some of its facts stay", self._path, error)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._build_again(error)
        return max(0, before - self._n_bytes())

    def _n_bytes(self) -> int:
        paths = [self._path.with_name(FILE + suffix) for suffix in SUFFIXES]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def close(self) -> None:
        """Write pending facts, and close the file."""
        self.flush()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _known(self, key: bytes) -> FileFacts | None:
        stored = self._waiting.get(key)
        if stored is None and self._connection is not None:
            try:
                found = self._connection.execute("SELECT said FROM facts WHERE key = ?", (key,))
                stored = next((row[0] for row in found), None)
            except sqlite3.OperationalError:
                return None
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                self._build_again(error)
        return from_json(stored) if isinstance(stored, bytes) else None

    def _open(self) -> None:
        connection = sqlite3.connect(self._path, timeout=BUSY_S, check_same_thread=False)
        self._connection = connection
        ((n_tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        ((application,),) = connection.execute("PRAGMA application_id")
        if n_tables and application != APPLICATION:
            raise sqlite3.DatabaseError(f"another program's file ({application:#x})")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")  # facts lost in a crash are read again
        with connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS facts "
                "(rowid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, said BLOB NOT NULL)"
            )
        connection.execute("SELECT key, said FROM facts LIMIT 1").fetchall()

    def _build_again(self, error: sqlite3.DatabaseError | UnicodeDecodeError) -> None:
        logger.warning("%s cannot be used (%s): it is created again", self._path, error)
        self._let_go()
        try:
            for suffix in SUFFIXES:
                self._path.with_name(FILE + suffix).unlink(missing_ok=True)
            self._open()
        except (sqlite3.Error, UnicodeDecodeError, OSError) as second:
            self._give_up(second)

    def _give_up(self, error: Exception) -> None:
        logger.warning("%s cannot be used (%s): definitions are not cached", self._path, error)
        self._let_go()

    def _let_go(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def cached_facts(folder: Path) -> Iterator[FileFacts]:
    """Yield all facts of the cache in a folder, without changing it; nothing if there is none.

    Those that a running process has not written yet are missing; ``FactCache.close`` writes them.

    Raises:
        sqlite3.Error: the file is damaged, or locked for too long.
    """
    path = folder / FILE
    if not path.is_file():
        return
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        for (stored,) in connection.execute("SELECT said FROM facts ORDER BY rowid"):
            facts = from_json(stored) if isinstance(stored, bytes) else None
            if facts is not None:
                yield facts
    finally:
        connection.close()


def to_json(facts: FileFacts) -> bytes:
    """Return facts as JSON: rows of values, in the order of the fields."""
    rows = [
        [[getattr(one, field.name) for field in fields(one)] for one in group]
        for group in (facts.definitions, facts.imports, facts.bindings)
    ]
    return json.dumps([*rows, facts.package], separators=(",", ":")).encode()


def from_json(stored: bytes) -> FileFacts | None:
    """Return the facts of compressed JSON; None if it is anything else."""
    try:
        inflating = zlib.decompressobj()
        text = inflating.decompress(stored, MAX_JSON_BYTES)
        definitions, imports, bindings, package = json.loads(text)
        return FileFacts(
            tuple(_fact(Definition, row) for row in definitions),
            tuple(_fact(Import, row) for row in imports),
            tuple(_fact(Binding, row) for row in bindings),
            str(package),
        )
    except (zlib.error, ValueError, TypeError, RecursionError):
        return None


def _fact(kind: type[Fact], row: Any) -> Fact:
    """Return a fact from its values.

    Raises:
        ValueError: a value has another type than its field.
        TypeError: the row is not a list.
    """
    values: dict[str, Any] = {}
    for (name, kept), value in zip(_fields(kind), row, strict=True):
        values[name] = _texts(value) if kept is tuple else value
        if type(values[name]) is not kept:
            raise ValueError(f"{name} is {value!r}")
    if kind is Definition and values["kind"] not in KINDS:
        raise ValueError(f"kind is {values['kind']!r}")
    return kind(**values)


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


@cache
def _fields(kind: type[Any]) -> tuple[tuple[str, type[Any]], ...]:
    """Return the name and Python type of each field of a fact."""
    hints = get_type_hints(kind)
    plain = {int: int, bool: bool, tuple[str, ...]: tuple}
    return tuple((one.name, plain.get(hints[one.name], str)) for one in fields(kind))


def _key(language: str, path: str, text: str) -> bytes:
    found = hashlib.sha256(_readers())
    suffix = path.rpartition(".")[2]  # the grammar may depend on the suffix
    found.update(f"{language}\0{suffix}\0".encode("utf-8", "replace"))
    found.update(text.encode("utf-8", "surrogatepass"))
    return found.digest()


@cache
def _readers() -> bytes:
    """Return a hash of all readers: a change of one invalidates the cache."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        found.update(path.read_bytes())
    return found.digest()
