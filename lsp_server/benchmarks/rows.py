"""Results of a run on disk, one a line, so that an interrupted run can be resumed.

The first line describes the run. An incomplete line, left by a killed process, is ignored.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]
"""Instance and condition."""


@dataclass(frozen=True)
class Row:
    """Result of one instance under one condition."""

    instance: str
    repository: str
    condition: str
    commit: str
    """Commit of the code that ran."""
    wanted: str = ""
    """Answer of the benchmark."""
    suggestion: str = ""
    right: float = 0.0
    edit_similarity: float = 0.0
    identifier_match: float = 0.0
    identifier_f1: float = 0.0
    confidence: float | None = None
    """Probability of the first word; None if nothing was suggested."""
    reason: str | None = None
    """Code of the reason why nothing was suggested."""
    stop_reason: str | None = None
    seconds: float = 0.0
    """Time of the request, after indexing."""
    index_seconds: float = 0.0
    """Time from opening the document until the memory was up to date."""
    files: int = 0
    """Number of files in memory."""
    tokens: int = 0
    """Number of tokens in memory."""
    left_out: int = 0
    """Number of files that are not in memory."""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    engine: str = ""
    """Model, number format and device."""
    error: str | None = None
    """Why there is no answer. A resumed run tries again."""

    @property
    def key(self) -> Key:
        """Identity of the row: a later row with the same key replaces it."""
        return self.instance, self.condition


class RowFile:
    """File of a run's results. Several processes may append to it."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        """Open or create a file.

        Args:
            path: the file.
            run: description of the run: model, weights, settings.

        Raises:
            ValueError: the file belongs to another run.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        found = _lines(path)
        if not found:
            self._append({"run": dict(run)})
        elif (before := found[0].get("run")) != dict(run):
            raise ValueError(
                f"{path} holds results of another run, {before!r}; this is {dict(run)!r}. Name "
                "another file, or remove this one."
            )

    def rows(self) -> dict[Key, Row]:
        """Return the last row of each key."""
        names = {field.name for field in fields(Row)}
        rows = (
            Row(**{name: value for name, value in _renamed(line).items() if name in names})
            for line in _lines(self._path)
            if "instance" in line
        )
        return {row.key: row for row in rows}

    def add(self, row: Row) -> None:
        """Append a row; it is on disk when this returns."""
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


def _renamed(line: Json) -> Json:
    """Return a line of 0.1 with the present name of ``arm``."""
    return {"condition" if name == "arm" else name: value for name, value in line.items()}


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
