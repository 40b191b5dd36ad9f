"""Rows of a repository: its cursors, with the definitions that the product would show there.

The file that a cursor stands in is indexed without the answer, so nothing that is chosen can
contain it; copies of it elsewhere are left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from longllama_code.definitions.files import FreshFacts
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.languages.facts import FileFacts
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.definition_layout import head_ids, path_ids, text_ids
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.generation.prompting.piece_excerpts import DefinitionPieces
from longllama_code.generation.prompting.prompt import Excerpt, PromptSource, build_prompt
from longllama_code.research.cursor_rows.answers import gives_away
from longllama_code.research.cursor_rows.drawing import Cursor, Shares, draw_cursors
from longllama_code.research.cursor_rows.row import CursorRow, DefinitionIds, RepositoryHead
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.tokenizers.tokenizer import Tokenizer

LOCAL_TOKENS = 2080
"""Most tokens of the open file: a quarter of them after the cursor, 512, as in the product."""
DEFINITION_TOKENS = 768
MAX_MIDDLE_TOKENS = 96
N_NEGATIVES = 24
END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class RepositoryRows:
    """Rows of one repository, and all definitions that they name."""

    head: RepositoryHead
    definitions: Sequence[DefinitionIds]
    rows: Sequence[CursorRow]


def end_id(tokenizer: Tokenizer, marks: InfillMarks) -> int:
    """Return the id that ends a text written between others."""
    if len(marks.ends) == 1:
        return next(iter(marks.ends))
    known = tokenizer.id_of(END_OF_TEXT)
    return tokenizer.eos_id if known is None else known


class RowMaker:
    """Maker of the rows of repositories; equal seeds and texts give equal rows.

    Args:
        tokenizer: the model's.
        marks: the model's infill marks.
        shares: how cursors are drawn.
    """

    def __init__(self, tokenizer: Tokenizer, marks: InfillMarks, shares: Shares) -> None:
        self._tokenizer, self._marks, self._shares = tokenizer, marks, shares
        self._end = end_id(tokenizer, marks)

    def rows(self, tree: SourceTree, number: int = 0) -> RepositoryRows:
        """Return the rows of a repository, whose number is ``number`` in them."""
        head = tuple(head_ids(tree.name, self._tokenizer, self._marks))
        index = DefinitionIndex(_CachedFacts(tree))
        known = RepositoryDefinitions(self._tokenizer, index=index)
        work = _Work(tree, number, head, known)
        for path, text in tree.texts.items():
            work.known.put(path, text)
        for cursor in draw_cursors(tree.name, tree.texts, work.known.index, self._shares):
            row = self._row(cursor, work)
            if row is not None:
                work.rows.append(row)
                work.cursors.append(cursor)
        rows = self._with_negatives(work)
        return RepositoryRows(RepositoryHead(tree.name, work.head), work.definitions, rows)

    def _row(self, cursor: Cursor, work: _Work) -> CursorRow | None:
        """Return the row of a cursor; None if its answer is too long."""
        source = PromptSource(cursor.path, cursor.prefix, cursor.suffix, work.tree.name)
        prompt = build_prompt(source, self._tokenizer, LOCAL_TOKENS, self._marks)
        middle = self._tokenizer.encode(prompt.healed + cursor.middle)
        middle += [self._end] if cursor.ends else []
        if len(middle) > MAX_MIDDLE_TOKENS:
            return None
        return CursorRow(
            work.number,
            cursor.kind,
            tuple(prompt.ids[len(work.head) :]),
            tuple(middle),
            tuple(self._number(each, work) for each in _positives(cursor, work)),
            (),
        )

    def _number(self, shown: Excerpt, work: _Work) -> int:
        """Return the number of what memory holds as one, which is added if it is new."""
        key = shown.path, shown.text
        if key not in work.numbers:
            named = path_ids(shown.path, self._tokenizer, self._marks)
            ids = (*named, *text_ids(shown.text, self._tokenizer))
            work.numbers[key] = len(work.definitions)
            work.definitions.append(DefinitionIds(work.number, len(named), ids))
        return work.numbers[key]

    def _with_negatives(self, work: _Work) -> list[CursorRow]:
        """Return the rows with definitions that other cursors need."""
        rng = random.Random(f"{self._shares.seed} negatives {work.tree.name}")
        shown = list(work.numbers)
        rows = list[CursorRow]()
        for row, cursor in zip(work.rows, work.cursors, strict=True):
            order = rng.sample(range(len(shown)), min(len(shown), 2 * N_NEGATIVES))
            kept = [each for each in order if each not in row.positives]
            kept = [each for each in kept if _is_foreign(*shown[each], cursor)]
            rows.append(_with(row, kept[:N_NEGATIVES]))
        return rows


class _CachedFacts:
    """Reader of facts that reads the files of a tree once; drafts of them are read anew."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._known: dict[str, FileFacts] = {}

    def read(self, path: str, text: str) -> FileFacts:
        """Return the facts of a text."""
        if text is not self._tree.texts.get(path):
            return FreshFacts().read(path, text)
        if path not in self._known:
            self._known[path] = FreshFacts().read(path, text)
        return self._known[path]


@dataclass
class _Work:
    """Work on one repository."""

    tree: SourceTree
    number: int
    head: tuple[int, ...]
    known: RepositoryDefinitions
    definitions: list[DefinitionIds] = field(default_factory=list[DefinitionIds])
    numbers: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """Number of each definition by its path and text, in the order of ``definitions``."""
    rows: list[CursorRow] = field(default_factory=list[CursorRow])
    cursors: list[Cursor] = field(default_factory=list[Cursor])

    def __post_init__(self) -> None:
        self.pieces = DefinitionPieces(self.known)


def _positives(cursor: Cursor, work: _Work) -> list[Excerpt]:
    """Return what the product would choose as memory, without the answer, best first."""
    work.known.put(cursor.path, cursor.prefix + cursor.suffix)
    at = cursor.path, cursor.prefix, cursor.suffix
    chosen = work.pieces.wanted(*at, DEFINITION_TOKENS).excerpts
    work.known.put(cursor.path, work.tree.texts[cursor.path])
    return [each for each in reversed(chosen) if not gives_away(each.text, cursor.middle)]


def _is_foreign(path: str, text: str, cursor: Cursor) -> bool:
    """Whether a definition of another cursor tells this one nothing of its own file."""
    return path != cursor.path and not gives_away(text, cursor.middle)


def _with(row: CursorRow, negatives: Iterable[int]) -> CursorRow:
    return CursorRow(
        row.repository, row.kind, row.local, row.middle, row.positives, tuple(negatives)
    )
