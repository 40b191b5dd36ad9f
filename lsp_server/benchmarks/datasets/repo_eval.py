"""RepoEval (RepoCoder, arXiv 2303.12570): lines and calls of an API in Python repositories.

A table has ``prompt`` and ``metadata`` with ``task_id``, ``ground_truth``, ``fpath_tuple`` (the
repository's folder, then the path in it), ``context_start_lineno`` and ``line_no``. The prompt is
the end of the text before the answer, cut to what a model of its day could read; tables of one
level differ in that alone, and it is not read: the text before and after the answer is that of the
file. ``line_no`` counts from 0, in lines as Python's ``str.splitlines`` splits them. The cursor is
at the start of the line, so that its indent is part of the answer, as upstream.

Upstream: ``microsoft/CodeT``, ``RepoCoder``: ``datasets.zip``, ``repositories``, and
``make_dataset/random_benchmark.py`` and ``api_benchmark.py``, which wrote the tables. Answers of
the API level may have several lines; upstream's exact match compares all of them
(``compute_score.py``). The function level, whose measure runs the repository's tests, is not read.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from longllama_code.json_text import as_json
from lsp_server.benchmarks.datasets.fields import (
    Row,
    list_field,
    number_field,
    object_field,
    read_instances,
    text_field,
)
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.paths import (
    inside,
    language_id,
    path_inside,
    read_inside,
    repository_name,
)

TREES = "repositories/line_and_api_level"
LEVELS = ("line", "api")
_LEVEL_FILE = "{}_level_completion_*.jsonl"


def load(data: Path) -> Iterator[Instance]:
    """Yield the instances of a table, or of a folder with one table of each level.

    Args:
        data: ``line_level_completion_….jsonl`` or ``api_level_completion_….jsonl``, or a folder.
            The repositories are below ``repositories/line_and_api_level``, in the folder or next to
            one that holds the table.

    Raises:
        ValueError: there are no tables, or several of a level, or no repositories, or a row is
            broken; the message names the file, and the row.
    """
    tables = _tables(data)
    root = _root(data)
    seen: set[str] = set()
    for level, table in tables:

        def read(_: int, row: Row, level: str = level) -> Iterable[Instance]:
            return [_instance(row, level, root)]

        yield from read_instances(table, read, seen)


def _tables(data: Path) -> list[tuple[str, Path]]:
    if data.is_file():
        return [(_level(data), data)]
    found: list[tuple[str, Path]] = []
    for level in LEVELS:
        name = _LEVEL_FILE.format(level)
        tables = sorted([*data.glob(name), *data.glob(f"datasets/{name}")])
        if len(tables) > 1:
            names = ", ".join(table.name for table in tables)
            raise ValueError(
                f"{data} has several tables of the level {level!r}; give one: {names}."
            )
        found += [(level, table) for table in tables]
    if not found:
        raise ValueError(f"{str(data)!r} holds no {_LEVEL_FILE.format('line')!r} of RepoEval.")
    return found


def _level(table: Path) -> str:
    level = next((level for level in LEVELS if table.name.startswith(f"{level}_level")), None)
    if level is None:
        raise ValueError(
            f"{table} is no table of RepoEval's line or API level; its name must begin with "
            "'line_level' or 'api_level'."
        )
    return level


def _root(data: Path) -> Path:
    folder = data.resolve() if data.is_dir() else data.resolve().parent
    for near in (folder, folder.parent):
        if (near / TREES).is_dir():
            return inside(near, TREES)
    raise ValueError(
        f"{str(data)!r} has no repositories; unpack 'line_and_api_level.zip' to {folder / TREES}."
    )


def _instance(row: Row, level: str, root: Path) -> Instance:
    metadata = object_field(row, "metadata")
    parts = list_field(metadata, "fpath_tuple")
    if len(parts) < 2 or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"'fpath_tuple' is {as_json(parts, 60)}, not a repository and a path")
    repository, file = repository_name(parts[0]), path_inside("/".join(parts[1:]))
    tree = inside(root, repository)
    text, answer = read_inside(tree, file), text_field(metadata, "ground_truth")
    start = _offset_of_line(text, number_field(metadata, "line_no"), answer, file)
    return Instance(
        id=f"{level}/{text_field(metadata, 'task_id')}",
        repository=repository,
        file=file,
        before=text[:start],
        answer=answer,
        after=text[start + len(answer) :],
        tree=tree,
        language=language_id(file),
        kind=level,
    )


def _offset_of_line(text: str, line: int, answer: str, file: str) -> int:
    """Return the offset of a line, from which on the answer is whole lines."""
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: max(line, 0)]))
    is_there = line >= 0 and bool(answer.strip()) and text.startswith(answer, start)
    next_sign = text[start + len(answer) :][:1]
    if not is_there or next_sign.splitlines() not in ([], [""]):
        raise ValueError(
            f"{answer!r} is not line {line + 1} of {file!r}; is the repository the published one?"
        )
    return start
