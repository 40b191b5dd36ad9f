"""Options of a run on the command line: ``--set OPTION=VALUE``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from longllama_code.errors import ConfigError, LongLlamaError

T = TypeVar("T")


def changed(options: T, changes: Sequence[str]) -> T:
    """Return options of which some are replaced; values are JSON.

    Args:
        options: an instance of a dataclass.
        changes: such as ``learning_rate=1e-4``.

    Raises:
        ConfigError: an option is unknown, or a value is of another type.
    """
    import cattrs

    fields: dict[str, Any] = cattrs.unstructure(options)
    for change in changes:
        name, _, value = change.partition("=")
        if name not in fields:
            raise ConfigError(f"--set names {name!r}; options are {', '.join(sorted(fields))}.")
        fields[name] = _value(value)
    try:
        return cattrs.structure(fields, type(options))
    except LongLlamaError:
        raise
    except Exception as error:
        detail = "; ".join(cattrs.transform_error(error))
        raise ConfigError(f"--set {' '.join(changes)} cannot be read: {detail}") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
