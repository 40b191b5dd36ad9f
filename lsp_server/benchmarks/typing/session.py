"""Typing sessions: the text that a commit adds at one place of a file, to be typed there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from lsp_server.benchmarks.git.directories import Repository


@dataclass(frozen=True)
class Session:
    """Text to type into a file at one place."""

    repository: str
    file: str
    """Path of the file relative to the repository."""
    before: str
    """Text of the file before the cursor, when typing begins."""
    typed: str
    """Text to type. It begins and ends with a visible character."""
    after: str
    """Text of the file after the cursor, which stays there."""
    commit: str
    """Commit that added the text."""
    date: date
    """Day of the commit."""
    rest: str = ""
    """What the commit adds directly after the typed text, if that is cut short. It is not typed,
    but a suggestion that foresees it is right."""
    language: str = "python"
    """Identifier of the language, as LSP has it."""

    @property
    def id(self) -> str:
        """Identity of the session among all sessions."""
        return f"{self.repository}@{self.commit[:12]}:{self.file}"

    @property
    def opened(self) -> str:
        """Text of the document when typing begins."""
        return self.before + self.after

    @property
    def target(self) -> str:
        """Text of the document when everything is typed."""
        return self.before + self.typed + self.after


@dataclass(frozen=True)
class Replay:
    """Sessions of one repository, to be typed in one workspace."""

    repository: Repository
    base: str
    """Commit whose tree is the workspace."""
    sessions: Sequence[Session]
    """Sessions in the order of typing: no commit comes before one that it builds on."""
