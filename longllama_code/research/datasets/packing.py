"""Packed rows: where a file ends before its row is full, another file goes on.

As the mixture that LongLLaMA was trained on, which concatenates the files of a folder in random
order: files of the same folder first, else of the same repository, each behind its path header.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from longllama_code.memory.segments.encoder import path_header
from longllama_code.research.datasets.rows import Row, window
from longllama_code.tokenizers.tokenizer import Tokenizer

MIN_TEXT_TOKENS = 16
"""Of another file, or it is not begun: a header with hardly any text behind it teaches nothing."""


class Packer:
    """Fills the rows of one step; no file is shown twice in it.

    Args:
        repositories: for each repository, the text of each file by path.
        shown: (repository, path) of the files that the step's rows begin with.
        tokenizer: the model's.
        row_tokens: most tokens of a row.
        rng: of the order of files.
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
        """The row, and other files behind it as far as there is room for some of their text."""
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
        """Ids of the line that names a file, behind a token that may leave a line open."""
        line_ends = self._tokenizer.token_bytes(before).endswith(b"\n")
        header = path_header(path) if line_ends else f"\n{path_header(path)}"
        return self._tokenizer.encode(header)[: self._row_tokens // 4]

    def _order(self, row: Row) -> list[str]:
        """Files that no row shows, of the row's folder and then of others, each in random order."""
        folder = PurePosixPath(row.path).parent
        paths = [
            path
            for path in self._repositories[row.repository]
            if (row.repository, path) not in self._shown
        ]
        self._rng.shuffle(paths)
        return sorted(paths, key=lambda path: PurePosixPath(path).parent != folder)
