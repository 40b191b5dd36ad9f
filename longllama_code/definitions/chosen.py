"""A definition that was chosen to be shown, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.definitions.languages.facts import Kind


@dataclass(frozen=True, slots=True)
class Chosen:
    """A definition that was chosen for a cursor.

    Attributes:
        path: its file.
        name: its name, with its class's.
        kind: its kind.
        shown: its source without its body.
        line: its first line, from 1.
        last_line: its last line, inclusive.
        reason: why it was chosen, in plain words.
        score: its score; higher is better.
        heads: line and head of each class around it.
    """

    path: str
    name: str
    kind: Kind
    shown: str
    line: int
    last_line: int
    reason: str
    score: float
    heads: tuple[tuple[int, str], ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity of the definition, whatever its line and score."""
        return self.path, self.name, self.shown
