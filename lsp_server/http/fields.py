"""The fields of a request's JSON, read leniently: null is absent, unknown names are ignored."""

import json
import math
from collections.abc import Mapping
from typing import Any

from longllama_code.json_text import as_json
from lsp_server.http.errors import invalid

SHOWN_CHARS = 40
"""Length of a wrong value's beginning that an error quotes; it may be source code."""


def parsed(body: bytes) -> "Fields":
    """Return the fields of a request's body.

    Raises:
        Refused: it is no JSON object.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise invalid(f"the body is not JSON ({reason}); send a JSON object.") from None
    if not isinstance(values, dict):
        raise invalid(f"the body is {as_json(values, SHOWN_CHARS)}; send a JSON object.")
    return Fields(values)


class Fields:
    """Fields of a JSON object; a value of another type than wanted is refused."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """Return a text.

        Raises:
            Refused: it is none.
        """
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within limits; ``128.0`` is one.

        Raises:
            Refused: it is no number, or outside of the limits.
        """
        value = self._values.get(name)
        if value is None:
            return default
        wanted = f"a number from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, wanted)
        if not math.isfinite(value) or not least <= value <= most:
            raise self.wrong(name, wanted)
        return int(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return whether a field is true.

        Raises:
            Refused: it is neither true nor false.
        """
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """Return the texts of a list, or the one text that stands in place of a list.

        Raises:
            Refused: it is neither, or there are too many.
        """
        value = self._values.get(name)
        if value is None:
            return ()
        found: list[Any] = [value] if isinstance(value, str) else value
        if not isinstance(value, str | list) or not all(isinstance(each, str) for each in found):
            raise self.wrong(name, "a list of strings")
        if len(found) > most:
            raise invalid(f"{name!r} has {len(found)} entries; send {most} at most.", name)
        return tuple(found)

    def objects(self, name: str, most: int) -> list["Fields"]:
        """Return the objects of a list.

        Raises:
            Refused: it is no list of objects, or has too many.
        """
        value: Any = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(name, "a list of objects")
        if len(value) > most:
            raise invalid(f"{name!r} has {len(value)} entries; send {most} at most.", name)
        return [Fields(each) for each in value]

    def within(self, name: str) -> "Fields":
        """Return the fields of an object in this one; none if it is absent.

        Raises:
            Refused: it is no object.
        """
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(value or {})

    def raw(self, name: str) -> Any:
        """Return a value of any type; None if it is absent."""
        return self._values.get(name)

    def wrong(self, name: str, wanted: str) -> Exception:
        """Return the refusal of a field that is not what it must be."""
        return invalid(
            f"{name!r} is {as_json(self._values.get(name), SHOWN_CHARS)}; send {wanted}.", name
        )
