"""What benchmarks need of a completion system, as an editor with one open document uses it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class SystemGoneError(RuntimeError):
    """The system has ended or does not respond; another one must be started."""


@dataclass(frozen=True)
class Loaded:
    """What a system knew of the workspace when it was asked."""

    files: int = 0
    """Number of files in memory, or of chunks in the prompt."""
    tokens: int = 0
    """Number of tokens in memory, or of the chunks in the prompt."""
    left_out: int = 0
    """Number of files that are not in memory."""
    engine: str = ""
    """Model, number format and device."""
    seconds: float = 0.0
    """Time until it was taken in."""


@dataclass(frozen=True)
class Answer:
    """Response to one request."""

    text: str = ""
    """Suggestion to insert at the cursor; empty if there is none."""
    confidence: float | None = None
    """Probability of the first word; None if unknown."""
    reason: str | None = None
    """Code of the reason why nothing was suggested."""
    stop_reason: str | None = None
    prompt_tokens: int = 0
    """Number of tokens in the prompt."""
    read_tokens: int = 0
    """Number of prompt tokens that were processed for this request."""
    generated_tokens: int = 0
    seconds: float = 0.0
    """Time from the request to its answer."""
    is_known: bool = False
    """Whether it was answered from an earlier answer, without the model."""
    context: Sequence[str] = field(default_factory=tuple[str, ...])
    """Texts of other files that the prompt showed, to search them for the answer."""


class System(Protocol):
    """A completion system with one workspace and one open document.

    All methods raise `SystemGoneError` if the system has ended or does not respond.
    """

    async def open(self, file: str, text: str) -> Loaded:
        """Open a document and wait until the system has taken in what it shows of the workspace.

        The last document is closed first.

        Args:
            file: path relative to the workspace.
            text: text of the document, which differs from that on disk.
        """
        ...

    async def move_cursor(self, offset: int) -> None:
        """Put the cursor at an offset, in code points, without typing, as a click does."""
        ...

    async def change(self, start: int, end: int, text: str) -> None:
        """Replace a part of the document, from one offset to another, in code points."""
        ...

    async def complete(self, offset: int, *, automatic: bool = False) -> Answer:
        """Return the suggestion at a cursor.

        Cancelling the call does what an editor does with a request that the next key outdates.

        Args:
            offset: the cursor in the document, in code points.
            automatic: whether typing triggered the request; otherwise the user invoked it.

        Raises:
            RuntimeError: the model did not answer.
        """
        ...

    async def save_other(self, file: str, text: str) -> None:
        """Write another file of the workspace, as if it had been saved, and wait until it counts.

        Args:
            file: path relative to the workspace.
            text: its new text.
        """
        ...

    async def close(self) -> None:
        """Close the document."""
        ...
