"""CrossCodeEval (arXiv 2310.11248): a line that uses something of another file.

There are two formats. Rebuilt data is a folder with ``instances.jsonl``, whose lines name a file
and the position of the answer in it, and with the repositories below ``repos``; `rebuilding` writes
it. Published data is a file whose lines have ``prompt``, ``groundtruth``, ``right_context`` and
``metadata``, without the repository: ``line_completion.jsonl`` of each language's folder, and its
variants with ``crossfile_context``, such as ``line_completion_rg1_bm25.jsonl``. That field holds
what the authors' retriever found, and is not read. Upstream: ``amazon-science/cceval``, ``data``.
"""

from collections.abc import Iterable
from pathlib import Path

from longllama_code.json_text import as_json
from lsp_server.benchmarks.datasets.fields import (
    Row,
    day_field,
    number_field,
    object_field,
    read_instances,
    text_field,
)
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.git.fetching import check_source
from lsp_server.benchmarks.paths import (
    inside,
    language_id,
    path_inside,
    read_inside,
    repository_name,
)

REBUILT = "instances.jsonl"
PUBLISHED = "line_completion.jsonl"
TREES = "repos"
PUBLISHED_PREFIX = "published_"
"""Prefix of fields that say whether a published run was right."""


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

    def read(_: int, row: Row) -> Iterable[Instance]:
        return [_rebuilt(row, data) if rebuilt else _published(row)]

    return list(read_instances(path, read, set()))


def _rebuilt(row: Row, folder: Path) -> Instance:
    repository = repository_name(text_field(row, "repository"))
    file = path_inside(text_field(row, "file"))
    tree = inside(folder, f"{TREES}/{repository}")
    text, answer = read_inside(tree, file), text_field(row, "ground_truth")
    start = number_field(row, "offset")
    end = start + number_field(row, "length")
    if start < 0 or not answer or text[start:end] != answer:
        raise ValueError(f"{answer!r} is not at {start} of {file!r}; rebuild the data")
    return Instance(
        id=text_field(row, "instance_id"),
        repository=repository,
        file=file,
        before=text[:start],
        answer=answer,
        after=text[end:],
        tree=tree,
        language=language_id(file),
        published_results=_published_results(row),
        since=day_field(row, "since"),
        clone=check_source(text_field(row, "source")).split("/")[1] if "source" in row else "",
    )


def _published_results(row: Row) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    for name, value in row.items():
        if name.startswith(PUBLISHED_PREFIX):
            if value is not None and not isinstance(value, bool):
                raise ValueError(f"{name!r} is {as_json(value)}, not true, false or null")
            found[name.removeprefix(PUBLISHED_PREFIX)] = value
    return found


def _published(row: Row) -> Instance:
    metadata = object_field(row, "metadata")
    file = path_inside(text_field(metadata, "file"))
    answer = text_field(row, "groundtruth")
    if not answer.strip():
        raise ValueError("'groundtruth' is empty")
    return Instance(
        id=text_field(metadata, "task_id"),
        repository=repository_name(text_field(metadata, "repository")),
        file=file,
        before=text_field(row, "prompt"),
        answer=answer,
        after=text_field(row, "right_context"),
        language=language_id(file),
    )
