"""Packed rows: if a file ends before its row is full, another file follows.

LongLLaMA's training mixture does so too: it concatenates the files of a folder in random
order: files of the same folder first, else of the same repository, each behind its path header.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from longllama_code.memory.segments.identity import path_header
from longllama_code.research.datasets.rows import Row, window
from longllama_code.tokenizers.tokenizer import Tokenizer

MIN_TEXT_TOKENS = 16
"""Minimum number of text tokens of another file; fewer behind a header teach nothing."""


class Packer:
    """Fills the rows of one step, in which no file appears twice.

    Args:
        repositories: for each repository, the text of each file by path.
        shown: (repository, path) of the files that the step's rows begin with.
        tokenizer: the model's.
        row_tokens: maximum number of tokens of a row.
        rng: draws the order of files.
    """

    def __init__(
        self,
        repositories: Sequence[Mapping[str, str]],
        shown: Iterable[tuple[int, str]],
        tokenizer: Tokenizer,
        row_tokens: int,
        rng: random.Random,
    ) -> None:
        self._repositories, self._shown = repositories, set(shown)
        self._tokenizer, self._row_tokens, self._rng = tokenizer, row_tokens, rng

    def fill(self, row: Row) -> Row:
        """Return the row followed by other files, as long as there is room for their text."""
        ids, heads = list(row.ids), list(row.heads)
        for path in self._order(row):
            header = self._header(path, ids[-1])
            room = self._row_tokens - len(ids) - len(header)
            if room < MIN_TEXT_TOKENS:
                break
            heads.append((len(ids), len(ids) + len(header)))
            text = window(self._repositories[row.repository][path], 0, room)
            ids += [*header, *self._tokenizer.encode(text)[:room]]
            self._shown.add((row.repository, path))
        return Row(ids, tuple(heads), row.repository, row.path)

    def _header(self, path: str, before: int) -> list[int]:
        """Return ids of the line that names a file, behind a token that may leave a line open."""
        line_ends = self._tokenizer.token_bytes(before).endswith(b"\n")
        header = path_header(path) if line_ends else f"\n{path_header(path)}"
        return self._tokenizer.encode(header)[: self._row_tokens // 4]

    def _order(self, row: Row) -> list[str]:
        """Yield unused files of the row's folder, then of others, each in random order."""
        folder = PurePosixPath(row.path).parent
        paths = [
            path
            for path in self._repositories[row.repository]
            if (row.repository, path) not in self._shown
        ]
        self._rng.shuffle(paths)
        return sorted(paths, key=lambda path: PurePosixPath(path).parent != folder)
