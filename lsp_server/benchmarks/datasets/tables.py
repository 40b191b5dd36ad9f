"""Rows of the files in which data sets are published: JSON lines, a JSON array, or Parquet.

Files are read a row at a time: a data set can be larger than memory, and a compressed line can
unpack to far more than it is on disk.
"""

import gzip
import importlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

Json = dict[str, Any]

ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".parquet")
MAX_LINE_BYTES = 1 << 24
MAX_ARRAY_BYTES = 1 << 28
"""A JSON array is read at once, so it must fit into memory."""
_BATCH_ROWS = 16


def rows(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[tuple[int, Json]]:
    """Yield number, from 1, and object of each row. Blank lines are counted, and left out.

    Args:
        path: a file that ends in one of `ENDINGS`.
        max_line_bytes: largest length of a line of JSON, unpacked.

    Raises:
        ValueError: the file is none of these, or a row is broken; the message names file and row.
    """
    if not path.name.endswith(ENDINGS):
        raise ValueError(f"{path} is no table; known endings: {', '.join(ENDINGS)}.")
    if path.name.endswith(".parquet"):
        yield from _parquet_rows(path)
    elif path.name.endswith(".json"):
        yield from _array_rows(path)
    else:
        with path.open("rb") as packed:
            file = gzip.GzipFile(fileobj=packed) if path.name.endswith(".gz") else packed
            yield from _line_rows(path, cast("IO[bytes]", file), max_line_bytes)


def ending_of(path: Path) -> str | None:
    """Return the ending of a table's name; None if it has none of `ENDINGS`."""
    return next((ending for ending in ENDINGS if path.name.endswith(ending)), None)


def _line_rows(path: Path, file: IO[bytes], max_bytes: int) -> Iterator[tuple[int, Json]]:
    number = 0
    while line := _line(path, file, number + 1, max_bytes):
        number += 1
        if line.strip():
            yield number, _object(f"{path}:{number}", _parsed(f"{path}:{number}", line))


def _line(path: Path, file: IO[bytes], number: int, max_bytes: int) -> bytes:
    try:
        line = file.readline(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}:{number} cannot be read: {error}.") from error
    if len(line) > max_bytes:
        raise ValueError(f"{path}:{number} is no JSON line of at most {max_bytes} bytes.")
    return line


def _array_rows(path: Path) -> Iterator[tuple[int, Json]]:
    with path.open("rb") as file:
        data = file.read(MAX_ARRAY_BYTES + 1)
    if len(data) > MAX_ARRAY_BYTES:
        raise ValueError(f"{path} has more than {MAX_ARRAY_BYTES >> 20} MiB; give it as .jsonl.")
    array = _parsed(str(path), data)
    if not isinstance(array, list):
        raise ValueError(f"{path} is no JSON array of objects.")
    for number, row in enumerate(cast("list[object]", array), 1):
        yield number, _object(f"{path}:{number}", row)


def _parquet_rows(path: Path) -> Iterator[tuple[int, Json]]:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ValueError(f"{path} needs pyarrow to be read: pip install pyarrow.") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path}:{number + 1} is no Parquet: {error}.") from error


def _parsed(place: str, data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place} is no JSON: {error}.") from error


def _object(place: str, value: object) -> Json:
    if not isinstance(value, dict):
        raise ValueError(f"{place} is no JSON object.")
    return cast("Json", value)
