"""What CrossCodeEval asks: a cursor in a file, and the text that stood there.

Two forms are read. Rebuilt: a folder with ``instances.jsonl`` and the repositories' trees below
``repos``; a line names a file and where in it the answer stands. Published: a file of lines with
``prompt``, ``groundtruth`` and ``right_context``, which say nothing of the rest of the repository.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

Json = dict[str, Any]

REBUILT = "instances.jsonl"
PUBLISHED = "line_completion.jsonl"
MARK = "published_"
"""What names of fields begin with that say whether a published run was right."""
MOST_LINE_CHARS = 1 << 24


@dataclass(frozen=True)
class Instance:
    """One cursor."""

    id: str
    repository: str
    file: str
    """The file's path in the repository."""
    before: str
    answer: str
    after: str
    tree: Path | None = None
    """The repository's files; None where the data has none."""
    marks: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])
    """Whether published runs were right, by their names; None where that is not known."""

    @property
    def opened(self) -> str:
        """The document as it is opened: the answer missing."""
        return self.before + self.after

    @property
    def span(self) -> tuple[int, int]:
        """Where the answer begins and ends in the file."""
        start = len(self.before)
        return start, start + len(self.answer)


def load(data: Path) -> list[Instance]:
    """All instances of a folder or file, in its order.

    Raises:
        ValueError: something in it is not of either form; the message names file and line.
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
            raise ValueError(f"{path}:{number} is no instance: {_said(error)}.") from error
        if instance.id in seen:
            raise ValueError(f"{path}:{number} repeats the instance {instance.id!r}.")
        seen.add(instance.id)
        yield instance


def _rows(path: Path) -> Iterator[tuple[int, Json]]:
    """The lines' objects, with the lines' numbers."""
    with path.open(encoding="utf-8") as lines:
        number = 0
        while line := lines.readline(MOST_LINE_CHARS):
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
        raise ValueError(f"{answer!r} does not stand at {start} of {file!r}; rebuild the data")
    marks = {name.removeprefix(MARK): row[name] for name in row if name.startswith(MARK)}
    after = text[start + length :]
    return Instance(
        str(row["instance_id"]), repository, file, text[:start], answer, after, tree, marks
    )


def _published(row: Json) -> Instance:
    metadata: Json = row["metadata"]
    repository, file = _name(metadata["repository"]), _inside(metadata["file"])
    before, answer, after = (str(row[key]) for key in ("prompt", "groundtruth", "right_context"))
    if not answer.strip():
        raise ValueError("'groundtruth' is empty")
    return Instance(str(metadata["task_id"]), repository, file, before, answer, after)


def read_source(path: Path) -> str:
    """A source file's text, in which offsets count: line ends are newlines alone."""
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


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
