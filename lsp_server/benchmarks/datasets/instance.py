"""Instance of a benchmark: a cursor in a file, and the text that follows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path


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
    """Folder of the repository's files; None if the data holds them otherwise, or not at all."""
    files: Mapping[str, str] | None = None
    """Texts of the repository's other files by path, for data that holds them itself."""
    language: str = "python"
    """Identifier of the language, as LSP has it."""
    kind: str = ""
    """Category of the instance in its benchmark, such as ``inproject``; empty if it has none."""
    published_results: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])
    """Whether each published run was right, by its name; None if unknown."""
    since: date | None = None
    """Day since when the code has been public, at the latest; None if unknown."""
    snapshot: str = ""
    """State of the repository, in data that has several of one. Only instances with the same
    repository and the same snapshot have the same other files."""

    clone: str = ""
    """Name of the folder in which one has the repository, which models are told; empty: that of the
    repository, which in published data also names its owner and a commit."""

    @property
    def has_repository(self) -> bool:
        """Whether the data holds other files of the repository."""
        return self.tree is not None or self.files is not None

    @property
    def opened(self) -> str:
        """Text of the document that is opened, without the answer."""
        return self.before + self.after

    @property
    def span(self) -> tuple[int, int]:
        """Start and end of the answer in the file, in code points."""
        start = len(self.before)
        return start, start + len(self.answer)
