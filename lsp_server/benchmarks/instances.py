"""Instances of CrossCodeEval: a cursor in a file, and the text that follows it.

There are two formats. Rebuilt data is a folder with ``instances.jsonl``, whose lines name a file
and the position of the answer in it, and with the repositories below ``repos``. Published data is a
file whose lines have ``prompt``, ``groundtruth`` and ``right_context``, without the repository.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

Json = dict[str, Any]

REBUILT = "instances.jsonl"
PUBLISHED = "line_completion.jsonl"
PUBLISHED_PREFIX = "published_"
"""Prefix of fields that say whether a published run was right."""
MAX_LINE_CHARS = 1 << 24


@dataclass(frozen=True)
class Instance:
    """Cursor and the text that follows it."""

    id: str
    repository: str
    file: str
    """Path of the file relative to the repository."""
    before: str
    answer: str
    after: str
    tree: Path | None = None
    """Folder of the repository; None in published data."""
    published_results: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])
    """Whether each published run was right, by its name; None if unknown."""

    @property
    def opened(self) -> str:
        """Text of the document that is opened, without the answer."""
        return self.before + self.after

    @property
    def span(self) -> tuple[int, int]:
        """Start and end of the answer in the file."""
        start = len(self.before)
        return start, start + len(self.answer)


def load(data: Path) -> list[Instance]:
    """Return all instances of a folder or file, in their order.

    Raises:
        ValueError: the data has neither format; the message names file and line.
    """
    if data.is_dir():
        rebuilt = (data / REBUILT).is_file()
        path = data / (REBUILT if rebuilt else PUBLISHED)
    else:
        rebuilt, path = False, data
    if not path.is_file():
        raise ValueError(
            f"{str(data)!r} holds no benchmark; give the folder of a rebuilt CrossCodeEval, which "
            f"has {REBUILT!r}, or the published {PUBLISHED!r} of a language."
        )
    return list(_instances(path, data if rebuilt else None))


def _instances(path: Path, folder: Path | None) -> Iterator[Instance]:
    seen: set[str] = set()
    for number, row in _rows(path):
        try:
            instance = _published(row) if folder is None else _rebuilt(row, folder)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise ValueError(f"{path}:{number} is no instance: {_message(error)}.") from error
        if instance.id in seen:
            raise ValueError(f"{path}:{number} repeats the instance {instance.id!r}.")
        seen.add(instance.id)
        yield instance


def _rows(path: Path) -> Iterator[tuple[int, Json]]:
    """Yield number and object of each line."""
    with path.open(encoding="utf-8") as lines:
        number = 0
        while line := lines.readline(MAX_LINE_CHARS):
            number += 1
            if not line.strip():
                continue
            try:
                row: object = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number} is no JSON: {error}.") from error
            if not isinstance(row, dict):
                raise ValueError(f"{path}:{number} is no JSON object.")
            yield number, row  # pyright: ignore[reportUnknownArgumentType]


def _rebuilt(row: Json, folder: Path) -> Instance:
    repository, file = _name(row["repository"]), _inside(row["file"])
    tree = folder / "repos" / repository
    text = read_source(tree / file)
    start, length, answer = int(row["offset"]), int(row["length"]), str(row["ground_truth"])
    if start < 0 or not answer or text[start : start + length] != answer:
        raise ValueError(f"{answer!r} is not at {start} of {file!r}; rebuild the data")
    results = {
        name.removeprefix(PUBLISHED_PREFIX): row[name]
        for name in row
        if name.startswith(PUBLISHED_PREFIX)
    }
    after = text[start + length :]
    return Instance(
        str(row["instance_id"]), repository, file, text[:start], answer, after, tree, results
    )


def _published(row: Json) -> Instance:
    metadata: Json = row["metadata"]
    repository, file = _name(metadata["repository"]), _inside(metadata["file"])
    before, answer, after = (str(row[key]) for key in ("prompt", "groundtruth", "right_context"))
    if not answer.strip():
        raise ValueError("'groundtruth' is empty")
    return Instance(str(metadata["task_id"]), repository, file, before, answer, after)


def read_source(path: Path) -> str:
    """Return the text of a source file, with universal newlines, as offsets count it."""
    return path.read_text("utf-8", errors="replace")


def _name(text: object) -> str:
    name = str(text)
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is no repository's name")
    return name


def _inside(text: object) -> str:
    path = PurePosixPath(str(text))
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in str(path):
        raise ValueError(f"{str(text)!r} is no path in a repository")
    return str(path)


def _message(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
