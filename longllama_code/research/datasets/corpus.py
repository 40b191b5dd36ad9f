"""Token rows of repositories, and their batches as a function of the step.

A batch holds a few repositories with several rows each. A row is a window of one file behind its
path header, as the encoder and the completer show files to the model. Rows of one repository are
drawn from files that use each other's definitions if there are any (related files), and cut
around a name that they share, so that memory is useful. The repositories of a step
share names as well, so that negatives are hard: the right name in the wrong repository.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from longllama_code.errors import ConfigError
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.memory.segments.identity import path_header
from longllama_code.research.datasets.packing import Packer
from longllama_code.research.datasets.planted import plant
from longllama_code.research.datasets.rows import CHARS_PER_TOKEN, Row, window
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.tokenizers.tokenizer import Tokenizer

NAME = re.compile(r"[A-Za-z_]\w{3,}")
DEFINITION = re.compile(
    r"^\s*(?:(?:export|default|declare|abstract|pub|async|public|static)\s+)*"
    r"(?:def|class|function|func|fn|struct|enum|trait|interface|type|const)\s+(\w{4,})"
    r"|^([A-Z][A-Z0-9_]{3,})\s*[:=]",
    re.MULTILINE,
)
UNRELATED_WEIGHT = 0.2
"""Weight of a file that shares no name, relative to one that shares one name."""


@dataclass(frozen=True)
class Focus:
    """Shares of a training step that are arranged so that memory is useful."""

    names: float = 0.0
    """Share of rows cut around a name in the step's or repository's first row."""
    planted: float = 0.0
    """Share of repositories in which a row states a constant that another one defines."""
    infill: float = 0.0
    """Share of rows that begin with the text after them, for models with infill marks."""


@dataclass(frozen=True)
class _Draft:
    """A row before tokenization, with more text than fits."""

    repository: int
    path: str
    text: str


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
    """Rows of some source trees; equal seeds and steps give equal rows.

    Args:
        trees: the repositories; those without two files are left out.
        tokenizer: the model's.
        row_tokens: maximum number of tokens of a row, including its head.
        seed: seed of every draw.
        focus: how rows of one step are related.
        marks: infill marks, for models that have them.
        packed: whether other files follow if a file ends before its row is full.

    Raises:
        ConfigError: nothing is left to train on, or infill is wanted without marks.
    """

    def __init__(
        self,
        trees: Sequence[SourceTree],
        tokenizer: Tokenizer,
        row_tokens: int,
        seed: int,
        focus: Focus | None = None,
        marks: InfillMarks | None = None,
        packed: bool = False,
    ) -> None:
        self._texts = [tree.texts for tree in trees if len(tree.texts) > 1]
        self._repositories = [
            [_File(path, text) for path, text in texts.items()] for texts in self._texts
        ]
        if not self._repositories:
            raise ConfigError(
                f"none of the {len(trees)} source trees has two files; memory needs other files "
                "of the same repository. Name larger ones."
            )
        self._tokenizer, self._row_tokens, self._seed = tokenizer, row_tokens, seed
        self._focus, self._marks, self._packed = focus or Focus(), marks, packed
        if self._focus.infill and marks is None:
            raise ConfigError(
                f"focus.infill is {self._focus.infill}, and the model has no infill_marks; name "
                "two tokens that it does not need otherwise, or set the share to 0."
            )
        self._weights = [sum(len(file.text) for file in files) for files in self._repositories]

    @property
    def n_repositories(self) -> int:
        """Number of repositories that rows are drawn from."""
        return len(self._repositories)

    def rows(self, step: int, n_repositories: int, n_each: int) -> list[Row]:
        """Return the rows of one step: ``n_each`` of each of ``n_repositories``, lying together.

        Raises:
            ConfigError: the corpus has fewer repositories.
        """
        if n_repositories > self.n_repositories:
            raise ConfigError(
                f"a batch wants rows of {n_repositories} repositories, and the corpus has "
                f"{self.n_repositories}; add some, or ask for fewer."
            )
        rng = random.Random(f"{self._seed} {step}")
        # By the square root of their size, so that small trees count too.
        chosen = _draw_distinct(rng, self._weights, n_repositories, power=0.5)
        drafts: list[_Draft] = []
        for number in chosen:
            drafts += self._drafts(number, n_each, drafts[:1], rng)
        packer = self._packer(step, drafts) if self._packed else None
        return [self._row(draft, rng, packer) for draft in drafts]

    def _drafts(
        self, repository: int, n_rows: int, before: list[_Draft], rng: random.Random
    ) -> list[_Draft]:
        """Rows of one repository; ``before`` holds the step's first row, if there is one."""
        files = self._repositories[repository]
        sought = _names(before[0].text[: self._row_chars]) if before else frozenset[str]()
        first = _draw_sharing(rng, files, sought if rng.random() < self._focus.names else None)
        drafts = [self._draft(first, repository, sought, rng)]
        sought = _names(drafts[0].text[: self._row_chars])
        for file in _draw_related(rng, files, first, n_rows - 1):
            drafts.append(self._draft(file, repository, sought, rng))
        if n_rows > 1 and rng.random() < self._focus.planted:
            stating, defining = (draft.text[: self._row_chars] for draft in drafts[:2])
            planted = plant(defining, stating, rng)
            drafts[0] = replace(drafts[0], text=planted.stating)
            drafts[1] = replace(drafts[1], text=planted.defining)
        return drafts

    def _draft(
        self, file: _File, repository: int, sought: frozenset[str], rng: random.Random
    ) -> _Draft:
        """Return a window of a file: around one of the names sought, or anywhere."""
        starts = _line_starts(file.text, self._row_tokens)
        start = rng.choice(starts)
        shared = sorted(sought & file.names.keys())
        if shared and rng.random() < self._focus.names:
            start = _start_before(file, rng.choice(shared), starts, self._row_chars, rng)
        return _Draft(repository, file.path, window(file.text, start, self._row_tokens))

    def _packer(self, step: int, drafts: Sequence[_Draft]) -> Packer:
        return Packer(
            self._texts,
            [(draft.repository, draft.path) for draft in drafts],
            self._tokenizer,
            self._row_tokens,
            # A separate generator, so that packed rows begin like those that are not packed.
            random.Random(f"{self._seed} {step} packed"),
        )

    def _row(self, draft: _Draft, rng: random.Random, packer: Packer | None) -> Row:
        tokenizer = self._tokenizer
        begin = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        header = tokenizer.encode_first(path_header(draft.path))
        header = header[: self._row_tokens // 4 - len(begin)]
        ids = tokenizer.encode(draft.text)
        room = self._row_tokens - len(begin) - len(header)
        head = [*begin, *header]
        if self._marks is not None and rng.random() < self._focus.infill:
            room -= self._marks.n_marks + rng.randint(room // 16, room // 3)
            n_suffix = self._row_tokens - len(head) - self._marks.n_marks - room
            head = self._marks.head(begin, ids[room : room + n_suffix], header)
        row = Row([*head, *ids[:room]], ((0, len(head)),), draft.repository, draft.path)
        # With infill, the text that follows the row is in its head: the file has not ended.
        return row if packer is None or len(ids) > room else packer.fill(row)

    @property
    def _row_chars(self) -> int:
        """Return the approximate number of characters in a row."""
        return CHARS_PER_TOKEN * self._row_tokens


def _draw_distinct(rng: random.Random, weights: Sequence[float], n: int, power: float) -> list[int]:
    """Draw at most n different indices in proportion to their weights, all above 0."""
    keyed = [(rng.random() ** (1 / weight**power), index) for index, weight in enumerate(weights)]
    return [index for _, index in sorted(keyed, reverse=True)[:n]]


def _names(text: str) -> frozenset[str]:
    return frozenset(NAME.findall(text))


def _draw_sharing(
    rng: random.Random, files: Sequence[_File], sought: frozenset[str] | None
) -> _File:
    """Return a file, drawn by how many of the names sought it has; any, where none are."""
    if not sought:
        return rng.choice(files)
    return rng.choices(files, [len(sought & file.names.keys()) + 0.1 for file in files])[0]


def _draw_related(rng: random.Random, files: Sequence[_File], first: _File, n: int) -> list[_File]:
    """Draw other files, different ones if possible, so that rows do not repeat text."""
    others = [file for file in files if file is not first]
    weights = [_relation(first, other) + UNRELATED_WEIGHT for other in others]
    drawn = _draw_distinct(rng, weights, n, power=1.0)
    drawn += rng.choices(range(len(others)), weights, k=n - len(drawn))
    return [others[index] for index in drawn]


def _start_before(
    file: _File, name: str, starts: Sequence[int], n_chars: int, rng: random.Random
) -> int:
    """Return one of the line starts from which a row holds the name, if there is one."""
    found = [m.start() for m in re.finditer(rf"\b{re.escape(name)}\b", file.text)]
    found = found or [file.text.index(name)]  # within a word, such as the digits of 0xABCD
    at = rng.choice(found) - rng.randrange(n_chars // 2)
    return starts[max(0, bisect_right(starts, max(at, 0)) - 1)]


def _relation(one: _File, other: _File) -> float:
    """Return how many names defined in one of two files the other one uses."""
    uses = sum(name in one.names for name in other.defined)
    used = sum(name in other.names for name in one.defined)
    return float(min(uses + used, 8))


def _line_starts(text: str, room: int) -> list[int]:
    """Offsets of lines behind which a row can be filled, or the start of a short file."""
    last = len(text) - CHARS_PER_TOKEN * room
    return [0, *(m.end() for m in re.finditer("\n", text[: max(last, 0)]))]
