"""Repositories as token rows: which rows come together in a batch, as a function of the step.

A batch holds a few repositories with several rows each. A row is a window of one file behind its
path header, as the encoder and the completer show files to the model. Rows of one repository are
drawn from files that name each other's definitions where there are such (related files); that is
when memory has something to say.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from longllama_code.errors import ConfigError
from longllama_code.memory.encoder import path_header
from longllama_code.tokenizer import Tokenizer
from longllama_code.training.sources import SourceTree

NAME = re.compile(r"[A-Za-z_]\w{3,}")
DEFINITION = re.compile(
    r"^\s*(?:export\s+|pub\s+|async\s+|public\s+|static\s+)*"
    r"(?:def|class|function|func|fn|struct|enum|trait|interface|type)\s+(\w{4,})"
    r"|^([A-Z][A-Z0-9_]{3,})\s*[:=]",
    re.MULTILINE,
)
UNRELATED_WEIGHT = 0.2
"""How often a file that shares no name is drawn, beside one that shares one name."""


@dataclass(frozen=True)
class Row:
    """Token ids of one window of a file.

    The first ``n_head`` (BOS and path header) are context alone: neither stored nor predicted.
    """

    ids: list[int]
    n_head: int
    repository: int
    path: str


@dataclass(frozen=True)
class _File:
    path: str
    text: str

    @cached_property
    def names(self) -> Counter[str]:
        return Counter(NAME.findall(self.text))

    @cached_property
    def defined(self) -> frozenset[str]:
        return frozenset(a or b for a, b in DEFINITION.findall(self.text))


class Corpus:
    """The rows of some source trees; equal seeds and steps give equal rows.

    Args:
        trees: the repositories; those without two files are left out.
        tokenizer: the model's.
        row_tokens: most tokens of a row, its head included.
        seed: of every draw.

    Raises:
        ConfigError: nothing is left to train on.
    """

    def __init__(
        self, trees: Sequence[SourceTree], tokenizer: Tokenizer, row_tokens: int, seed: int
    ) -> None:
        self._repositories = [
            [_File(path, text) for path, text in tree.texts.items()]
            for tree in trees
            if len(tree.texts) > 1
        ]
        if not self._repositories:
            raise ConfigError(
                f"none of the {len(trees)} source trees has two files; memory needs other files "
                "of the same repository. Name larger ones."
            )
        self._tokenizer, self._row_tokens, self._seed = tokenizer, row_tokens, seed
        self._weights = [sum(len(file.text) for file in files) for files in self._repositories]

    @property
    def n_repositories(self) -> int:
        """Repositories that rows are drawn from."""
        return len(self._repositories)

    def rows(self, step: int, n_repositories: int, n_each: int) -> list[Row]:
        """The rows of one step: ``n_each`` of each of ``n_repositories``, lying together.

        Raises:
            ConfigError: the corpus has fewer repositories.
        """
        if n_repositories > self.n_repositories:
            raise ConfigError(
                f"a batch wants rows of {n_repositories} repositories, and the corpus has "
                f"{self.n_repositories}; add some, or ask for fewer."
            )
        rng = random.Random(f"{self._seed} {step}")
        chosen = _draw_distinct(rng, self._weights, n_repositories)
        return [row for number in chosen for row in self._rows_of(number, n_each, rng)]

    def _rows_of(self, repository: int, n_rows: int, rng: random.Random) -> Iterator[Row]:
        files = self._repositories[repository]
        first = rng.choice(files)
        related = [_relation(first, other) + UNRELATED_WEIGHT for other in files]
        drawn = [first, *rng.choices(files, related, k=n_rows - 1)]
        for file in drawn:
            yield self._row(file, repository, rng)

    def _row(self, file: _File, repository: int, rng: random.Random) -> Row:
        tokenizer = self._tokenizer
        head = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        head = [*head, *tokenizer.encode(path_header(file.path))][: self._row_tokens // 4]
        room = self._row_tokens - len(head)
        starts = _line_starts(file.text, room)
        ids = tokenizer.encode(_window(file.text, rng.choice(starts), room))[:room]
        return Row([*head, *ids], len(head), repository, file.path)


def _draw_distinct(rng: random.Random, weights: Sequence[float], n: int) -> list[int]:
    """Different indices, the heavier ones more often (square root: small trees count too)."""
    keyed = [
        (rng.random() ** (1 / weight**0.5 if weight else 0.0), index)
        for index, weight in enumerate(weights)
    ]
    return [index for _, index in sorted(keyed, reverse=True)[:n]]


def _relation(one: _File, other: _File) -> float:
    """How many names defined in one of two files the other uses, either way."""
    if one is other:
        return 0.0
    uses = sum(name in one.names for name in other.defined)
    used = sum(name in other.names for name in one.defined)
    return float(min(uses + used, 8))


def _line_starts(text: str, room: int) -> list[int]:
    """Offsets of lines behind which a row can be filled, or the start of a short file."""
    last = len(text) - 3 * room
    return [0, *(m.end() for m in re.finditer("\n", text[: max(last, 0)]))]


def _window(text: str, start: int, n_tokens: int) -> str:
    """More text than the tokens can hold."""
    return text[start : start + 12 * n_tokens]
