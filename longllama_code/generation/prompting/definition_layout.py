"""Layout of definitions as memory: the tokens of each part, and the positions where they stand.

    positions    0 … h-1            h …                    top …
    head         REPOSITORY name⏎
    excerpt                         FILE path⏎ text⏎
    excerpt                         FILE path⏎ text⏎
    open file                                              FILE path⏎ marks, text after, text before

An excerpt sees the head and itself. The open file sees the head, every excerpt, and itself. All
excerpts stand at the same positions, so what is stored of one never changes, and memory stays a
set. ``top`` follows the longest excerpt. With a single excerpt, the layout is that of an ordinary
prompt.

The open file's tokens are those of a prompt without excerpts, from its id ``h`` on. This module
needs no torch: the engine and the tuning share it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longllama_code.memory.segments.identity import path_header

if TYPE_CHECKING:  # the first needs transformers, which take long to import
    from longllama_code.generation.prompting.infill import InfillMarks
    from longllama_code.tokenizers.tokenizer import Tokenizer

LAYOUT_VERSION = 1
"""Increased whenever the same definition would get other tokens or positions."""


def head_ids(repository: str, tokenizer: Tokenizer, marks: InfillMarks) -> list[int]:
    """Return the ids that stand before every excerpt.

    Args:
        repository: the repository's name; an empty one is not shown.
        tokenizer: the model's.
        marks: the model's infill marks.
    """
    ids = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    if marks.file is not None and marks.repository is not None and repository:
        ids += [marks.repository, *tokenizer.encode(f"{repository}\n")]
    return ids


def path_ids(path: str, tokenizer: Tokenizer, marks: InfillMarks) -> list[int]:
    """Return the ids that name the file of an excerpt: behind a mark, or else in a comment."""
    if marks.file is None:
        return tokenizer.encode(path_header(path))
    return [marks.file, *tokenizer.encode(f"{path}\n")]


def text_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """Return the ids of an excerpt's lines, of which the last one has no line end."""
    return tokenizer.encode(f"{text}\n")


def excerpt_ids(path: str, text: str, tokenizer: Tokenizer, marks: InfillMarks) -> list[int]:
    """Return the ids of an excerpt: its file's path, then its lines."""
    return path_ids(path, tokenizer, marks) + text_ids(text, tokenizer)


@dataclass(frozen=True)
class DefinitionLayout:
    """Positions of a head, of excerpts behind it, and of the open file behind them."""

    n_head: int
    """Number of the head's tokens, and position of every excerpt's first token."""
    lengths: tuple[int, ...]
    """Number of tokens of each excerpt, in the order of their rows."""

    @classmethod
    def of(cls, head: list[int], excerpts: Iterable[list[int]]) -> DefinitionLayout:
        """Return the layout of a head's and some excerpts' ids."""
        return cls(len(head), tuple(map(len, excerpts)))

    @property
    def top(self) -> int:
        """Position of the open file's first token."""
        return self.n_head + max(self.lengths, default=0)

    @property
    def n_rows(self) -> int:
        """Number of rows of keys and values before the open file's."""
        return self.n_head + sum(self.lengths)

    @property
    def positions(self) -> list[int]:
        """Position of each of these rows, the head's first."""
        starts = [range(self.n_head, self.n_head + length) for length in self.lengths]
        return [*range(self.n_head), *(position for span in starts for position in span)]
