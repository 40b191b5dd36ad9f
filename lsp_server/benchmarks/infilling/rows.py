"""Rows of a run: the result of each instance under each condition."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lsp_server.benchmarks.reporting.results_file import ResultsFile

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
    language: str = "python"
    kind: str = ""
    """Category of the instance in its benchmark."""
    published: str = "unknown"
    """Whether the code was public ``before`` or ``after`` the model was trained."""
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
    key_seconds: float | None = None
    """Time of a request after one more key that the suggestion did not foresee."""
    change_seconds: float | None = None
    """Time of such a request after another file was changed."""
    index_seconds: float = 0.0
    """Time from opening the document until its repository was taken in."""
    files: int = 0
    """Number of files in memory, or of chunks in the prompt."""
    tokens: int = 0
    """Number of tokens in memory, or of the chunks in the prompt."""
    left_out: int = 0
    """Number of files that are not in memory."""
    prompt_tokens: int = 0
    read_tokens: int = 0
    """Number of prompt tokens that were processed for the request."""
    generated_tokens: int = 0
    engine: str = ""
    """Model, number format and device."""
    store_searched: bool = False
    """Whether what the system had stored was searched for answers before it was asked."""
    error: str | None = None
    """Why there is no answer. A resumed run tries again."""

    @property
    def key(self) -> Key:
        """Identity of the row: a later row with the same key replaces it."""
        return self.instance, self.condition


class RowFile:
    """File of a run's rows. Several processes may append to it."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        """Open or create a file.

        Raises:
            ValueError: the file belongs to another run.
        """
        self._file = ResultsFile(path, run)

    def rows(self) -> dict[Key, Row]:
        """Return the last row of each key."""
        names = {field.name for field in fields(Row)}
        rows = (
            Row(**{name: value for name, value in _renamed(line).items() if name in names})
            for line in self._file.results()
            if "instance" in line
        )
        return {row.key: row for row in rows}

    def add(self, row: Row) -> None:
        """Append a row; it is on disk when this returns."""
        self._file.add(asdict(row))


def _renamed(line: Json) -> Json:
    """Return a line of 0.1 with the present name of ``arm``."""
    return {"condition" if name == "arm" else name: value for name, value in line.items()}
