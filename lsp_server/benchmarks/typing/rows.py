"""Results of typing sessions: one row for each session, condition and person."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from lsp_server.benchmarks.reporting.results_file import ResultsFile
from lsp_server.benchmarks.typing.session import Session
from lsp_server.benchmarks.typing.typist import Key
from lsp_server.benchmarks.workspaces.training_cutoff import UNKNOWN, TrainingData, publication

Json = dict[str, Any]
RowKey = tuple[str, str, str]
"""Session, condition and policy of the person."""


@dataclass(frozen=True)
class Row:
    """Result of one session, typed by one person under one condition."""

    session: str
    repository: str
    condition: str
    person: str
    """What the person accepts: ``whole`` or ``word``."""
    commit: str
    """Commit of the code that ran."""
    language: str = ""
    since: str = ""
    """Day of the commit that is replayed, in ISO form."""
    published: str = "unknown"
    """Whether the code was public ``before`` or ``after`` the model was trained."""
    characters: int = 0
    """Number of keys that the text needs without suggestions: a character each, and a line's end
    with the indentation after it."""
    pressed: int = 0
    """Number of keys that were pressed, those that accept included."""
    seconds: float = 0.0
    """Time from the opened document to the last key."""
    cpu_seconds: float | None = None
    """CPU time of the system meanwhile; None if it cannot be told."""
    index_seconds: float = 0.0
    """Time from opening the document until its repository was taken in."""
    files: int = 0
    """Number of files in memory, or of chunks in the prompt."""
    tokens: int = 0
    engine: str = ""
    """Model, number format and device."""
    keys: tuple[Key, ...] = ()
    error: str | None = None
    """Why there is no result. A resumed run tries again."""

    @property
    def key(self) -> RowKey:
        """Identity of the row: a later row with the same key replaces it."""
        return self.session, self.condition, self.person

    @property
    def saved(self) -> int:
        """Number of keys that suggestions saved."""
        return self.characters - self.pressed

    def of(self, session: Session, training: TrainingData = UNKNOWN) -> "Row":
        """Return the row with what is known of a session before it is typed.

        Args:
            session: the session.
            training: what is known of the model's training data.
        """
        return replace(
            self,
            session=session.id,
            repository=session.repository,
            language=session.language,
            since=session.date.isoformat(),
            published=publication(session.date, training),
        )


class RowFile:
    """File of a run's rows. Several processes may append to it."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        """Open or create a file.

        Args:
            path: the file. It will hold lines of the repositories' code.
            run: description of the run: model, weights, settings, sessions, rhythm.

        Raises:
            ValueError: the file belongs to another run.
        """
        self._file = ResultsFile(path, run)

    def rows(self) -> dict[RowKey, Row]:
        """Return the last row of each key."""
        rows = (_row(line) for line in self._file.results() if "session" in line)
        return {row.key: row for row in rows}

    def add(self, row: Row) -> None:
        """Append a row; it is on disk when this returns."""
        line = asdict(row)
        line["keys"] = [_short(key) for key in row.keys]
        self._file.add(line)


def _short(key: Key) -> Json:
    """Return a key as plain values, without those that say nothing."""
    values = asdict(key)
    return {name: value for name, value in values.items() if name == "ms" or value}


def _row(line: Json) -> Row:
    row_names, key_names = ({each.name for each in fields(form)} for form in (Row, Key))
    values = {name: value for name, value in line.items() if name in row_names}
    values["keys"] = tuple(
        Key(**{name: value for name, value in key.items() if name in key_names})
        for key in line.get("keys", ())
    )
    return Row(**values)
