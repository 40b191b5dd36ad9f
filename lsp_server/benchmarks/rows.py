"""Answers on disk, one a line: what was asked already is not asked again.

The first line says what the answers are of. A line that a kill cut short is passed over.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]
"""An instance and an arm."""


@dataclass(frozen=True)
class Row:
    """What one instance was answered in one arm."""

    instance: str
    repository: str
    arm: str
    commit: str
    """Of the code that was asked."""
    wanted: str = ""
    suggestion: str = ""
    right: float = 0.0
    edit_similarity: float = 0.0
    identifier_match: float = 0.0
    identifier_f1: float = 0.0
    confidence: float | None = None
    """As the server says it; None where it says nothing."""
    reason: str | None = None
    """Why nothing was suggested."""
    stop_reason: str | None = None
    seconds: float = 0.0
    """From the request to its answer, everything indexed before."""
    index_seconds: float = 0.0
    """From opening the document until memory was up to date."""
    files: int = 0
    """In memory."""
    tokens: int = 0
    """In memory."""
    left_out: int = 0
    """Files that are not in memory."""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    engine: str = ""
    """Model and number format."""
    error: str | None = None
    """Why there is no answer; it is asked again when the run is resumed."""

    @property
    def key(self) -> Key:
        """What there is one row of."""
        return self.instance, self.arm


class RowFile:
    """The file of a run; several processes may append to it."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        """Go on with a file, or begin one.

        Raises:
            ValueError: the file's answers are of another run.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        found = _lines(path)
        if not found:
            self._append({"run": dict(run)})
        elif (before := found[0].get("run")) != dict(run):
            raise ValueError(
                f"{path} holds answers of another run, {before!r}; this is {dict(run)!r}. Name "
                "another file, or remove this one."
            )

    def rows(self) -> dict[Key, Row]:
        """The last row of each instance and arm."""
        names = {field.name for field in fields(Row)}
        rows = (
            Row(**{name: value for name, value in line.items() if name in names})
            for line in _lines(self._path)
            if "instance" in line
        )
        return {row.key: row for row in rows}

    def add(self, row: Row) -> None:
        """Write a row; it is on disk when this returns."""
        self._append(asdict(row))

    def _append(self, line: Json) -> None:
        data = (json.dumps(line) + "\n").encode()
        with self._path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                data = data if file.read(1) == b"\n" else b"\n" + data
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _lines(path: Path) -> list[Json]:
    if not path.is_file():
        return []
    found: list[Json] = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)  # pyright: ignore[reportUnknownArgumentType]
    return found
