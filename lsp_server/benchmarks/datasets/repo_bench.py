"""RepoBench v1.1 (arXiv 2306.03091): the next line of a Python or Java file.

A row has ``repo_name``, ``file_path``, ``context`` (a list of ``identifier``, ``path``,
``snippet``), ``import_statement``, ``cropped_code``, ``all_code``, ``next_line``,
``gold_snippet_index``, ``created_at`` and ``level``. Upstream: ``Leolty/repobench``,
``data/README.md`` and ``data/utils.py``, and the cards of ``repobench_python_v1.1`` and
``repobench_java_v1.1``.

- The data has no repositories. `Instance.files` are the snippets that the authors found for the
  instance, some of which it needs, by their paths; snippets of one path are joined. They are no
  whole files: a measure with them says how well a system uses what was found for it.
- The file is not whole either. The text before the cursor is the file's imports and up to 120 lines
  before the answer, put together as ``construct_prompt`` does. Nothing follows the cursor, which is
  at the start of the line: the answer has its indent.
- ``since`` is the day of ``created_at``, on which the repository was created: its code is not
  older. All of it was public on 2023-12-31.
- ``level`` (length of the whole prompt) and ``gold_snippet_index`` are not read.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from longllama_code.json_text import as_json
from lsp_server.benchmarks.datasets.fields import (
    Row,
    day_field,
    list_field,
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

SPLITS = ("cross_file_first", "cross_file_random", "in_file")


def load(data: Path) -> Iterator[Instance]:
    """Yield the instances of a table of a split, or of all such tables in a folder.

    An identifier is the split and the number of the row in it, so the tables of a split must be
    read together to have the same ones.

    Args:
        data: a file whose name begins with a split's, such as
            ``cross_file_first-00000-of-00001.parquet``, or a folder of them, or its parent.

    Raises:
        ValueError: there is no such table, or a row is broken; the message names file and row.
    """
    seen: set[str] = set()
    counts: dict[str, int] = dict.fromkeys(SPLITS, 0)
    for split, table in _tables(data):

        def read(_: int, row: Row, split: str = split) -> Iterable[Instance]:
            counts[split] += 1
            return [_instance(row, split, counts[split])]

        yield from read_instances(table, read, seen)


def _tables(data: Path) -> list[tuple[str, Path]]:
    paths = [data] if data.is_file() else sorted([*data.glob("*"), *data.glob("data/*")])
    found = [
        (split, path)
        for path in paths
        if ending_of(path) and path.is_file()
        for split in SPLITS
        if path.name.startswith(split)
    ]
    if not found:
        known = ", ".join(SPLITS)
        raise ValueError(f"{str(data)!r} holds no table of RepoBench, named as its split: {known}.")
    return found


def _instance(row: Row, split: str, number: int) -> Instance:
    file = path_inside(text_field(row, "file_path"))
    imports, code = text_field(row, "import_statement"), text_field(row, "cropped_code")
    answer = text_field(row, "next_line")
    if not answer.strip():
        raise ValueError("'next_line' is empty")
    identifier = f"{split}/{number}"
    return Instance(
        id=identifier,
        repository=repository_name(text_field(row, "repo_name").replace("/", "__")),
        file=file,
        before=f"{imports}\n{code.rstrip()}\n",
        answer=answer,
        after="",
        files={path: text for path, text in _files(row).items() if path != file},
        language=language_id(file),
        kind=split,
        since=day_field(row, "created_at"),
        snapshot=identifier,
    )


def _files(row: Row) -> Mapping[str, str]:
    texts: dict[str, list[str]] = {}
    for snippet in list_field(row, "context"):
        if not isinstance(snippet, dict):
            raise ValueError(f"'context' has {as_json(snippet, 60)}, not an object")
        fields = cast("Row", snippet)
        texts.setdefault(text_field(fields, "path"), []).append(text_field(fields, "snippet"))
    return checked_files((path, "\n\n".join(parts)) for path, parts in texts.items())
