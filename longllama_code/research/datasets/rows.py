"""A row of training: the token ids of a window of a file, or of several files."""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.tokenizers.tokenizer import Span

CHARS_PER_TOKEN = 3
"""Approximate number in code; windows take several times as many, and are cut to tokens later."""


@dataclass(frozen=True)
class Row:
    """Token ids of a window of a file, and in packed rows of other files behind it."""

    ids: list[int]
    heads: tuple[Span, ...]
    """Begin token, infill and path headers, from and to: context alone, not stored or predicted."""
    repository: int
    path: str
    """Path of the first file."""

    @property
    def texts(self) -> list[bool]:
        """Whether each id is text of a file, which is stored and predicted."""
        texts = [True] * len(self.ids)
        for start, end in self.heads:
            texts[start:end] = [False] * (end - start)
        return texts


def window(text: str, start: int, n_tokens: int) -> str:
    """Return more text than fits into a row's tokens."""
    return text[start : start + 4 * CHARS_PER_TOKEN * n_tokens]
