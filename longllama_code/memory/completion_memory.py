"""What one completion sees of repository memory, and which lines its attention fell on."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter

import torch
from torch import Tensor

from longllama_code.kernels.sharing.threads import ALONE, Threads
from longllama_code.memory.repository import RememberedFile, RememberedSegment, RepositoryMemory
from longllama_code.memory.retrieval.ngrams import MAX_MATCH_TOKENS, Match
from longllama_code.memory.retrieval.row_view import RowView
from longllama_code.memory.segments.segment import PAGE_TOKENS
from longllama_code.memory.segments.segmenter import line_at
from longllama_code.model.memory_source import InputKeys, MemoryView
from longllama_code.protocol import Source

MAX_SOURCE_ROWS = 256


@dataclass(frozen=True)
class LocalText:
    """The part of a file that the local context holds, in the text as the editor has it now."""

    path: str
    text: str
    start: int
    end: int


class CompletionMemory:
    """The memory source of one completion: all of memory but the pages its local context repeats.

    Memory stays as it is for as long as it is viewed.
    ``fingerprint`` is equal for two views that see the same.

    Args:
        memory: that of the repository.
        local: what is in the local context; None where that repeats nothing.
        threads: who searches it.
    """

    def __init__(
        self, memory: RepositoryMemory, local: LocalText | None, threads: Threads = ALONE
    ) -> None:
        self._memory, self._threads = memory, threads
        pages = _repeated_pages(memory, local)
        visible = memory.visible([_rows(memory, *page) for page in pages])
        self._visible_rows = visible
        self._visible = None if visible is None else visible.to(memory.rows.device)
        self.fingerprint = _fingerprint(memory, pages)
        self._matched: tuple[tuple[int, ...], Match | None] | None = None
        self.records_mass = False
        self._offers: dict[tuple[int, bool], RowView] = {}
        self._seen: list[tuple[int, Tensor, Tensor | None]] = []
        self._mass = torch.zeros(len(memory.rows), device=memory.rows.device)

    def layer_view(self, layer_idx: int, input_keys: InputKeys | None = None) -> MemoryView | None:
        """Keys and values of one memory layer."""
        if not len(self._memory.rows):
            return None
        known = layer_idx, self.records_mass
        if known not in self._offers:
            heads = self._memory.heads(layer_idx)
            observe = self._observe if self.records_mass else None
            self._offers[known] = RowView(
                self._memory.rows,
                heads,
                self._visible,
                observe,
                self._memory.read_keys,
                self._threads,
            )
        return self._offers[known]

    def begin_pass(self) -> None:
        """A forward pass begins; what was not counted of the last one is forgotten."""
        self._seen.clear()

    def count(self, query: int) -> None:
        """Count what one query of this pass attended to.

        What was attended to for a guess that turned out wrong is no source of anything.
        """
        for first, weights, rows in self._seen:
            if not first <= query < first + weights.shape[-2]:
                continue
            mine = weights[..., query - first, :]
            if rows is None:
                self._mass.add_(mine.sum(dim=(0, 1, 2)))
            else:
                self._mass.index_add_(0, rows[..., query - first, :].flatten(), mine.flatten())

    def following(self, row: int, n_tokens: int) -> list[int]:
        """Up to as many tokens of memory from a row on."""
        return self._memory.rows.ngrams.following(row, n_tokens)

    def match(self, context: Sequence[int]) -> Match | None:
        """The longest match of a context's end, and what followed it in what is seen."""
        end = tuple(context[-MAX_MATCH_TOKENS:])
        if self._matched is None or self._matched[0] != end:  # drafts and copies ask the same
            match = self._memory.rows.ngrams.match(end, self._visible_rows)
            self._matched = end, match
        return self._matched[1]

    def credit(self, rows: Tensor, mass: float) -> None:
        """Count rows that a token was copied from, (n,), as if attention had fallen on them."""
        self._mass[rows.to(self._mass.device)] += mass / len(rows)

    def sources(self, n_most: int) -> list[Source]:
        """The pages that most was drawn from while ``records_mass`` was set, most first."""
        total = float(self._mass.sum())
        if not total:
            return []
        n_rows = min(MAX_SOURCE_ROWS, len(self._mass))
        rows = self._mass.topk(n_rows).indices.sort().values.tolist()
        drawn = (page for page in self._pages_of(rows) if page.mass > 0)
        best = nlargest(n_most, drawn, key=attrgetter("mass"))
        return [page.source(total) for page in best]

    def _observe(self, first: int, weights: Tensor, rows: Tensor | None) -> None:
        self._seen.append((first, weights, rows))

    def _pages_of(self, rows: list[int]) -> Iterator["_Page"]:
        """The pages that hold the rows, which are in ascending order.

        A segment in several files is named with each of them.
        """
        mass = self._mass.cpu().numpy()
        for file in self._memory.files.values():
            for segment in file.segments:
                start, end = self._memory.rows.span(segment.id)
                first = bisect_left(rows, start)
                if first == len(rows) or rows[first] >= end:
                    continue
                within = rows[first : bisect_left(rows, end, lo=first)]
                for page in sorted({(row - start) // PAGE_TOKENS for row in within}):
                    from_row = start + page * PAGE_TOKENS
                    drawn = mass[from_row : min(from_row + PAGE_TOKENS, end)].sum()
                    yield _Page(float(drawn), file, segment, page)


@dataclass(frozen=True)
class _Page:
    """A page of a file's segment, and what was drawn from it."""

    mass: float
    file: RememberedFile
    segment: RememberedSegment
    number: int

    def source(self, total: float) -> Source:
        """Its lines, and its share of all that was drawn."""
        piece, offsets = self.segment.piece, self.segment.page_offsets
        text = self.file.text[piece.start : piece.end]
        start, end = offsets[self.number], offsets[self.number + 1]
        first, last = line_at(text, start), line_at(text, max(start, end - 1))
        before = piece.first_line + 1
        return Source(self.file.path, before + first, before + last, self.mass / total)


def _fingerprint(
    memory: RepositoryMemory, hidden: list[tuple[RememberedSegment, int]]
) -> tuple[object, ...]:
    """What is seen: all segments, but for those that are hidden, and for hidden pages of others.

    A segment that is hidden as a whole may be encoded anew without a difference: the one that is
    typed in, as a rule.
    """
    n_hidden = Counter(segment.id for segment, _ in hidden)
    whole = {
        segment.id for segment, _ in hidden if n_hidden[segment.id] == len(segment.page_offsets) - 1
    }
    state = memory.state
    for segment_id in whole:
        state ^= int(segment_id, 16)
    parts = tuple((segment.id, page) for segment, page in hidden if segment.id not in whole)
    return state, parts


def _rows(memory: RepositoryMemory, segment: RememberedSegment, page: int) -> tuple[int, int]:
    """First row of a page, and one past its last."""
    start, end = memory.rows.span(segment.id)
    first = start + page * PAGE_TOKENS
    return first, min(first + PAGE_TOKENS, end)


def _repeated_pages(
    memory: RepositoryMemory, local: LocalText | None
) -> list[tuple[RememberedSegment, int]]:
    """Pages of the current file whose text the local context holds already."""
    file = memory.files.get(local.path) if local is not None else None
    if file is None or local is None:
        return []
    start, end = _as_remembered(local, file.text)
    return [
        (segment, page)
        for segment in file.segments
        if segment.piece.start < end and start < segment.piece.end
        for page in range(len(segment.page_offsets) - 1)
        if segment.piece.start + segment.page_offsets[page] < end
        and start < segment.piece.start + segment.page_offsets[page + 1]
    ]


def _as_remembered(local: LocalText, remembered: str) -> tuple[int, int]:
    """The offsets of the local context in the text that was encoded, which may lag behind.

    What both texts begin and end with maps one to one; in between, the lagging text is old, and
    counts as repeated where the local context reaches into it.
    """
    if local.text == remembered:
        return local.start, local.end
    same_start = _common_prefix(local.text, remembered)
    same_end = _common_prefix(local.text[same_start:][::-1], remembered[same_start:][::-1])
    edit_end, lag = len(local.text) - same_end, len(remembered) - len(local.text)
    start, end = local.start, local.end
    if start > same_start:
        start = start + lag if start >= edit_end else same_start
    if end > same_start:
        end = end + lag if end >= edit_end else len(remembered) - same_end
    return start, end


def _common_prefix(one: str, other: str) -> int:
    """Length of what both begin with, by bisection over comparisons that run in C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
