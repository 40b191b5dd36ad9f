"""A row of training: the token ids of a window of a file, or of several files."""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.tokenizers.tokenizer import Span

CHARS_PER_TOKEN = 3
"""Of code, about; a window takes several times as many, and is cut to tokens later."""


@dataclass(frozen=True)
class Row:
    """Token ids of one window of a file, and of whole files behind it where rows are packed."""

    ids: list[int]
    heads: tuple[Span, ...]
    """Begin token, infill and path headers, from and to: context alone, not stored or predicted."""
    repository: int
    path: str
    """Of the first file."""

    @property
    def texts(self) -> list[bool]:
        """Which of the ids are text of a file, to be stored and predicted."""
        texts = [True] * len(self.ids)
        for start, end in self.heads:
            texts[start:end] = [False] * (end - start)
        return texts


def window(text: str, start: int, n_tokens: int) -> str:
    """More text than the tokens can hold."""
    return text[start : start + 4 * CHARS_PER_TOKEN * n_tokens]
