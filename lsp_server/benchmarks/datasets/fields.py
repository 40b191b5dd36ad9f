"""Fields of a row, checked, and the instances that a reader makes of rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, cast

from longllama_code.json_text import as_json
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.datasets.tables import MAX_LINE_BYTES, rows

Row = Mapping[str, Any]


def text_field(row: Row, name: str) -> str:
    """Return a field that is text."""
    value = row[name]
    if not isinstance(value, str):
        raise _wrong(name, value, "text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name!r} has half of a UTF-16 pair at {error.start}") from error
    return value


def number_field(row: Row, name: str) -> int:
    """Return a field that is a whole number."""
    value = row[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, value, "a whole number")
    return value


def object_field(row: Row, name: str) -> Row:
    """Return a field that is an object."""
    value = row[name]
    if not isinstance(value, dict):
        raise _wrong(name, value, "an object")
    return cast("Row", value)


def list_field(row: Row, name: str) -> list[Any]:
    """Return a field that is a list."""
    value = row[name]
    if not isinstance(value, list):
        raise _wrong(name, value, "a list")
    return cast("list[Any]", value)


def day_field(row: Row, name: str) -> date | None:
    """Return the day of a field that is a time, in UTC; None if it is absent or null."""
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            # Python 3.10 knows no "Z".
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError as error:
            raise _wrong(name, value, "a time of ISO 8601") from error
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(timezone.utc)).date()
    if isinstance(value, date):
        return value
    raise _wrong(name, value, "a time of ISO 8601")


def _wrong(name: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"{name!r} is {as_json(value, 60)}, not {wanted}")


def read_instances(
    path: Path,
    read: Callable[[int, Row], Iterable[Instance]],
    seen: set[str],
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[Instance]:
    """Yield the instances of a table.

    Args:
        path: the table.
        read: returns the instances of a row, given its number, from 1, and the row.
        seen: identifiers of the instances that were read before; those of the table are added.
        max_line_bytes: largest length of a line.

    Raises:
        ValueError: a row is broken, or repeats an instance; the message names file and row.
    """
    for number, row in rows(path, max_line_bytes):
        try:
            found = list(read(number, row))
        except (KeyError, TypeError, ValueError, OSError, OverflowError) as error:
            raise ValueError(f"{path}:{number} is no instance: {message(error)}.") from error
        for instance in found:
            if instance.id in seen:
                raise ValueError(f"{path}:{number} repeats the instance {instance.id!r}.")
            seen.add(instance.id)
            yield instance


def message(error: Exception) -> str:
    """Return what is wrong with a row, without a full stop."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
