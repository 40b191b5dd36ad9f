"""Tables of results in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; cells must not contain a bar."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def cell(value: Mapping[str, Any] | None, form: str) -> str:
    """Return a mean with its interval, as a table shows it; empty if there is none.

    Args:
        value: ``mean``, ``low`` and ``high``; the last two are None if there is no interval.
        form: format of a number.
    """
    if value is None:
        return ""
    text = format(value["mean"], form)
    if value["low"] is None:
        return text
    return f"{text} [{format(value['low'], form)}, {format(value['high'], form)}]"
