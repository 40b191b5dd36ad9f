"""SAFIM (arXiv 2403.04814): holes in programs, in Python, Java, C++ and C#.

A row has ``task_id``, ``lang`` (``python``, ``java``, ``cpp``, ``csharp``), ``prompt``,
``eval_prompt``, ``ground_truth`` and ``unit_tests``. Both prompts have one hole: a comment,
``TODO: Your code here``, in ``prompt``, which begins with the description of the problem, and
``{{completion}}`` in ``eval_prompt``, which is the program alone. Upstream: ``gonglinyuan/safim``,
``prompt_utils.py`` and ``evaluate.py``, and the card of the data set, which has the split of each
file: ``block``, ``control``, ``api``, ``block_v2``, ``control_fixed``.

- The text around the cursor is ``prompt``, as in upstream's infilling: with the description. It is
  not what an editor shows, as the description is no comment.
- There is no repository. Each task counts as one.
- Upstream runs the programs on ``unit_tests``, and compares the texts where there are none
  (``api``). That measure is not built: nothing of a data set is run, and ``unit_tests`` are not
  read. Numbers of this reader are not the paper's pass@1; those of ``api`` come near, as upstream
  compares without blanks there, and calls in Python as syntax.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lsp_server.benchmarks.datasets.fields import Row, read_instances, text_field
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.datasets.tables import ending_of
from lsp_server.benchmarks.paths import repository_name

SPLITS = {
    "block_completion": "block",
    "block_completion_v2": "block_v2",
    "control_completion": "control",
    "control_completion_fixed": "control_fixed",
    "api_completion": "api",
}
"""Split by the name of its file, without the ending."""
HOLES = {
    "python": "# TODO: Your code here",
    "java": "/* TODO: Your code here */",
    "cpp": "/* TODO: Your code here */",
    "csharp": "/* TODO: Your code here */",
}
"""Mark of the hole in ``prompt``, by language."""
_FILES = {"python": "main.py", "java": "Main.java", "cpp": "main.cpp", "csharp": "Program.cs"}
MAX_ROW_BYTES = 1 << 27
"""Largest length of a line of JSON: unit tests can be long."""


def load(data: Path) -> Iterator[Instance]:
    """Yield the instances of a split's file, such as ``block_completion.jsonl.gz``.

    Raises:
        ValueError: it is no file of a split, or a row is broken; the message names file and row.
    """
    name = data.name.removesuffix(ending_of(data) or "")
    split = SPLITS.get(name, name if name in SPLITS.values() else None)
    if split is None or not data.is_file():
        known = ", ".join(f"{name}.jsonl.gz" for name in SPLITS)
        raise ValueError(f"{str(data)!r} is no file of SAFIM; known: {known}.")

    def read(_: int, row: Row) -> Iterable[Instance]:
        return [_instance(row, split)]

    return read_instances(data, read, set(), MAX_ROW_BYTES)


def _instance(row: Row, split: str) -> Instance:
    language, answer = text_field(row, "lang"), text_field(row, "ground_truth")
    if language not in HOLES:
        raise ValueError(f"'lang' is {language!r}; known: {', '.join(HOLES)}")
    before, *after = text_field(row, "prompt").split(HOLES[language])
    if len(after) != 1 or not answer.strip():
        raise ValueError(f"'prompt' has {len(after)} holes, not one, or 'ground_truth' is empty")
    identifier = text_field(row, "task_id")
    return Instance(
        id=identifier,
        repository=repository_name(identifier.replace("/", "__")),
        file=_FILES[language],
        before=before,
        answer=answer,
        after=after[0],
        language=language,
        kind=split,
    )
