"""Signs by which damage of an SQLite file is told from a disk that fails or a newer version."""

import sqlite3
from pathlib import Path

MAX_VERSION = 1000
"""Greatest ``user_version`` that counts as one of a newer version; overwritten ones are random."""
_WRITERS_AT, _NEWEST_WRITERS = 18, 2
"""Byte of the header with the format that a writer must know, and the greatest that there is.
Source: https://www.sqlite.org/fileformat.html, section 1.3.3."""
_CONTRADICTIONS = ("no such", "already exists", "duplicate column", "unsupported file format")
"""Parts of messages: tables or columns are gone, or are there though the version says otherwise, or
the file's header says what no SQLite writes."""


def is_damage(error: Exception) -> bool:
    """Whether an error of SQLite says that the file was damaged."""
    # SQLite's own types for damage have no subclass; a damaged schema, which others quote, need not
    # be UTF-8.
    if type(error) in (sqlite3.DatabaseError, UnicodeDecodeError):
        return True
    return any(part in str(error) for part in _CONTRADICTIONS)


def is_read_only_by_header(path: Path) -> bool:
    """Whether a file's header makes SQLite refuse to write, as no version of SQLite does by itself.

    Raises:
        OSError: the file cannot be read.
    """
    if not path.exists():
        return False
    with path.open("rb") as file:
        header = file.read(_WRITERS_AT + 1)
    return header[_WRITERS_AT:] > bytes((_NEWEST_WRITERS,))


def is_overwritten(version: int) -> bool:
    """Whether a ``user_version`` cannot be one that any version wrote."""
    return not 0 <= version <= MAX_VERSION
