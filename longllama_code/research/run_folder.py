"""The folder of a training run: its identity, and its metrics, one JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from longllama_code.errors import ConfigError
from longllama_code.json_text import as_json

METRICS, LOSSES = "metrics.jsonl", "held_out.jsonl"
ADAPTER = "adapter.safetensors"
"""Result of a run."""
_RUN = "run.json"


def claim(
    folder: Path,
    run: Mapping[str, Any],
    may_change: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Make a folder that of a run, or check that it is.

    Args:
        folder: made if it is not there.
        run: what the run depends on, by name.
        may_change: names whose values may change when the run resumes.
        defaults: values of names that a run written earlier does not know.

    Raises:
        ConfigError: the folder holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _RUN
    wanted: dict[str, Any] = json.loads(json.dumps(run))
    if not path.exists():
        # Each process writes it atomically, as another one may read it meanwhile.
        mine = path.with_name(f"{_RUN}.{os.getpid()}")
        mine.write_text(json.dumps(wanted, indent=2) + "\n", "utf-8")
        mine.replace(path)
        return
    earlier = json.loads(json.dumps(defaults or {}))
    found = {**earlier, **json.loads(path.read_text("utf-8"))}
    for name in sorted(wanted.keys() - set(may_change)):
        if found.get(name) != wanted[name]:
            raise ConfigError(
                f"{folder} holds a run with {name} {as_json(found.get(name))}, and this one has "
                f"{as_json(wanted[name])}. Name another folder, or the same options to go on."
            )


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record to a file of metrics."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of metrics; none if it is not there.

    A line that a killed process left unfinished is not one of them.
    """
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def cut_records(path: Path, counter: str, end: int) -> None:
    """Remove records that came after a checkpoint: they are about to be made again.

    Args:
        path: file of metrics; it need not be there.
        counter: the field that counts, such as ``step``.
        end: its value at the checkpoint.
    """
    if path.exists():
        kept = [each for each in read_records(path) if each[counter] <= end]
        path.write_text("".join(f"{json.dumps(each)}\n" for each in kept), "utf-8")
