"""Parts of a session that cannot be had, each with its reason and a remedy.

Whatever fails while a session begins is caught here: the session does without that part, and its
user gets one message. The status and ``diagnose`` name the part until it works.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lsp_server.reasons import printable, reason_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """Part of a session that may be missing."""

    name: str
    remedy: str
    is_needed: bool = False
    """Whether nothing is suggested without it."""
    is_retried: bool = True
    """Whether it is tried again when the engine is started again."""

    def of(self, what: object) -> Part:
        """Return this part of one folder or file."""
        return replace(self, name=f"{self.name} of {printable(str(what))}")


ENGINE = Part("engine", "remove the cause, then run longllama.restart.", is_needed=True)
REPOSITORY_SETTINGS = Part(
    "repository settings", "correct or remove its pyproject.toml.", is_retried=False
)
CLIENT = Part("client", "settings of the editor may be missing; defaults hold.", is_retried=False)
FOLDER = Part(
    "workspace folder", "open it by its path; other folders are not affected.", is_retried=False
)
RULES = Part("files", "remove the cause, then run longllama.restart.")
INDEXING = Part("indexing", "remove the cause, then run longllama.reindex.")
SCANNING = Part("some files", "remove the cause, then run longllama.reindex.")
WATCHING = Part("file watching", "changes that the editor reports are seen; reindex sees others.")
SEARCHED = Part("searched texts", "every file is searched again for secrets at each start.")
STATISTICS = Part("statistics", "make the cache folder writable, then run longllama.restart.")
STORE = Part("store", "longllama.diagnose checks the cache folder.")
POWER = Part("battery", "indexing does not wait for mains power.")


@dataclass(frozen=True)
class Problem:
    """Part that is missing, and why."""

    part: Part
    reason: str

    def __str__(self) -> str:
        return f"{self.part.name}: {self.reason}; {self.part.remedy}"


class Problems:
    """Problems of a session that are not solved yet.

    Args:
        report: called with each new problem, whose text is a message for the user.
    """

    def __init__(self, report: Callable[[Problem], None]) -> None:
        self._report = report
        self._found: dict[Part, Problem] = {}

    def __iter__(self) -> Iterator[Problem]:
        return iter(list(self._found.values()))

    @contextmanager
    def without(self, part: Part) -> Generator[None]:
        """Do without a part if the body of the ``with`` statement fails."""
        try:
            yield
        except Exception as error:  # whatever it is, the other parts go on
            logger.debug("%s failed", part.name, exc_info=error)
            self.note(part, reason_of(error))

    def note(self, part: Part, reason: str) -> None:
        """Note that a part is missing; its first reason stays."""
        if part in self._found:
            return
        problem = self._found[part] = Problem(part, reason)
        try:
            self._report(problem)
        except Exception:  # the message is lost; the status and ``diagnose`` still have it
            logger.exception("a problem could not be shown")

    def solved(self, part: Part) -> None:
        """Forget the problem of a part that works, or is tried again."""
        self._found.pop(part, None)

    def retry(self) -> None:
        """Forget the problems of all parts that are tried again with the engine."""
        self._found = {part: found for part, found in self._found.items() if not part.is_retried}

    @property
    def failure(self) -> str:
        """Why nothing is suggested; empty if what is needed is there."""
        return next((problem.reason for problem in self if problem.part.is_needed), "")

    @property
    def summary(self) -> str:
        """Short text for the status; empty without problems."""
        texts = [f"without {problem.part.name}: {problem.reason}" for problem in self]
        rest = f" (and {len(texts) - 1} more, see longllama.diagnose)" if len(texts) > 1 else ""
        return texts[0] + rest if texts else ""


@contextmanager
def stopping(what: str) -> Generator[None]:
    """Log what fails in the body of the ``with`` statement, and go on."""
    try:
        yield
    except Exception:
        logger.exception("%s could not be stopped", what)
