"""Damage to a file of SQLite: no database at all, lost pages, changed tables."""

import sqlite3
from pathlib import Path

FIRST_PAGE_BYTES = 4096


def garbage(path: Path) -> None:
    """Overwrite the file by something else."""
    path.write_bytes(b"no database at all" * 100)


def overwritten(path: Path) -> None:
    """Overwrite all pages but the first, which has the tables' names."""
    data = bytearray(path.read_bytes())
    data[FIRST_PAGE_BYTES:] = b"\xff" * (len(data) - FIRST_PAGE_BYTES)
    path.write_bytes(data)


def with_another_header(path: Path) -> None:
    """Have the header say that only a newer SQLite may write."""
    data = bytearray(path.read_bytes())
    data[18] = 3
    path.write_bytes(data)


def executed(path: Path, statement: str) -> None:
    """Run a statement on the file, and close it."""
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
