"""Long Code Arena, project-level code completion (arXiv 2406.11612): lines of new files.

A row has ``repo`` (``owner__name``), ``commit_hash``, ``completion_file`` (``filename``,
``content``), ``completion_lines`` (numbers of lines by category: ``committed``, ``inproject``,
``infile``, ``common``, ``non_informative``, ``random``) and ``repo_snapshot`` (lists ``filename``
and ``content``), which is the repository before the commit that added the file. Upstream: the
paper's section on the task and appendix C, the card of ``lca-project-level-code-completion``, and
``JetBrains-Research/lca-baselines``, ``project_level_code_completion``.

- Each line is an instance of its own; its category is the kind. Numbers count from 0, in lines that
  a line feed ends (``DatapointBase.get_line``). Some tables write ``commited``.
- The task goes from left to right: nothing follows the cursor, which is at the start of the line,
  so the answer has its indent. Blank lines are left out, as the measures cannot judge them.
- Files that are not text have no content, and are left out.
- A row of the larger sets has tens of megabytes; all its instances share its files.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from longllama_code.json_text import as_json
from lsp_server.benchmarks.datasets.fields import (
    Row,
    list_field,
    object_field,
    read_instances,
    text_field,
)
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.datasets.tables import ending_of
from lsp_server.benchmarks.paths import (
    checked_files,
    language_id,
    path_inside,
    repository_name,
)

MAX_ROW_BYTES = 1 << 28
"""Largest length of a line of JSON: the largest snapshots have over a hundred megabytes."""
_SPELLING = {"commited": "committed"}


def load(data: Path) -> Iterator[Instance]:
    """Yield the instances of a table, or of all tables of a folder, one context size.

    Raises:
        ValueError: there is no table, or a row is broken; the message names file and row.
    """
    seen: set[str] = set()
    for table in _tables(data):
        yield from read_instances(table, _instances, seen, MAX_ROW_BYTES)


def _tables(data: Path) -> list[Path]:
    paths = [data] if data.is_file() else sorted([*data.glob("*"), *data.glob("data/*")])
    found = [path for path in paths if ending_of(path) and path.is_file()]
    if not found:
        raise ValueError(f"{str(data)!r} holds no table of Long Code Arena; give one, or a folder.")
    return found


def _instances(_: int, row: Row) -> Iterable[Instance]:
    repository = repository_name(text_field(row, "repo").replace("/", "__"))
    commit = text_field(row, "commit_hash")
    completed = object_field(row, "completion_file")
    file = path_inside(text_field(completed, "filename"))
    lines = text_field(completed, "content").split("\n")
    files = {path: text for path, text in _files(row).items() if path != file}
    for kind, line in _places(row, len(lines)):
        if not lines[line].strip():
            continue
        yield Instance(
            id=f"{repository}/{commit[:10]}/{file}:{line + 1}/{kind}",
            repository=repository,
            file=file,
            before="".join(f"{text}\n" for text in lines[:line]),
            answer=lines[line],
            after="",
            files=files,
            language=language_id(file),
            kind=kind,
            snapshot=commit,
        )


def _places(row: Row, n_lines: int) -> Iterator[tuple[str, int]]:
    """Yield category and number of each line to complete, from 0."""
    by_kind = object_field(row, "completion_lines")
    for name in by_kind:
        # Parquet has all categories in each row, null where one has no lines.
        numbers = [] if by_kind[name] is None else list_field(by_kind, name)
        for line in dict.fromkeys(numbers):
            if not isinstance(line, int) or isinstance(line, bool) or not 0 <= line < n_lines:
                raise ValueError(
                    f"{name!r} has line {as_json(line, 60)}, and the file {n_lines} lines"
                )
            yield _SPELLING.get(name, name), line


def _files(row: Row) -> Mapping[str, str]:
    snapshot: Any = row["repo_snapshot"]
    if isinstance(snapshot, list):
        entries = cast("list[Row]", snapshot)
    else:
        columns = object_field(row, "repo_snapshot")
        names, texts = list_field(columns, "filename"), list_field(columns, "content")
        if len(names) != len(texts):
            raise ValueError(f"'repo_snapshot' has {len(names)} names and {len(texts)} texts")
        entries = [
            {"filename": name, "content": text} for name, text in zip(names, texts, strict=True)
        ]
    return checked_files(
        (text_field(entry, "filename"), text_field(entry, "content"))
        for entry in entries
        if entry["content"] is not None
    )
