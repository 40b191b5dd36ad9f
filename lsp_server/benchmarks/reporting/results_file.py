"""Results of a run on disk, one a line, so that an interrupted run can be resumed.

The first line describes the run. An incomplete line, left by a killed process, is ignored.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longllama_code.json_text import as_json

Json = dict[str, Any]


class ResultsFile:
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
            self.add({"run": dict(run)})
        elif (before := found[0].get("run")) != dict(run):
            raise ValueError(
                f"{path} holds results of another run, {as_json(before)}; this is "
                f"{as_json(dict(run))}. Name another file, or remove this one."
            )

    def results(self) -> list[Json]:
        """Return all results, in the order of their writing."""
        return [line for line in _lines(self._path) if "run" not in line]

    def add(self, result: Mapping[str, Any]) -> None:
        """Append a result; it is on disk when this returns."""
        data = (json.dumps(dict(result)) + "\n").encode()
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
