"""Repository memory as one completion sees it, and the lines that its attention fell on."""

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
from longllama_code.texts import common_prefix_length

MAX_SOURCE_ROWS = 256


@dataclass(frozen=True)
class LocalText:
    """Part of a file that is in the local context, in the text as the editor has it."""

    path: str
    text: str
    start: int
    end: int


class CompletionMemory:
    """Memory source of one completion: repository memory without what its local context repeats.

    The repository's memory must not change while this object is used. Two objects that see the same
    rows have equal fingerprints.

    Args:
        memory: the repository's.
        local: text in the local context, whose pages are hidden; None hides none.
        threads: threads that share the search.
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
        self.records_attention = False
        """Whether views collect attention weights, for ``count`` and ``sources``."""
        self._views: dict[tuple[int, bool], RowView] = {}
        self._observed: list[tuple[int, Tensor, Tensor | None]] = []
        self._mass = torch.zeros(len(memory.rows), device=memory.rows.device)
        self.token_mass = 1.0
        """Mass of a token that is drawn from memory alone, where no head attends to memory."""
        self._possible_mass = 0.0
        """Mass if the tokens so far had been drawn from memory alone."""

    def layer_view(self, layer_idx: int, input_keys: InputKeys | None = None) -> MemoryView | None:
        """Return the view of one memory layer, or None if memory is empty."""
        if not len(self._memory.rows):
            return None
        key = layer_idx, self.records_attention
        if key not in self._views:
            heads = self._memory.heads(layer_idx)
            observe = self._observe if self.records_attention else None
            self._views[key] = RowView(
                self._memory.rows,
                heads,
                self._visible,
                observe,
                self._memory.read_keys,
                self._threads,
            )
        return self._views[key]

    def begin_pass(self) -> None:
        """Begin a forward pass: drop weights of the last one that were not counted."""
        self._observed.clear()

    def count(self, query: int) -> None:
        """Add the attention of one query of this pass to the rows' totals.

        Only queries of accepted tokens are counted; a rejected draft has no sources.
        """
        n_queries = 0
        for first, weights, rows in self._observed:
            if not first <= query < first + weights.shape[-2]:
                continue
            n_queries += weights.shape[:-2].numel()
            shares = weights[..., query - first, :]
            if rows is None:
                self._mass.add_(shares.sum(dim=(0, 1, 2)))
            else:
                self._mass.index_add_(0, rows[..., query - first, :].flatten(), shares.flatten())

        self._possible_mass += n_queries or self.token_mass

    @property
    def share(self) -> float | None:
        """Share of memory in what the tokens so far were drawn from, 0 to 1; None without any."""
        total = float(self._mass.sum())
        return min(1.0, total / self._possible_mass) if self._possible_mass else None

    def following(self, row: int, n_tokens: int) -> list[int]:
        """Return up to ``n_tokens`` tokens of memory, from a row to the end of its segment."""
        return self._memory.rows.ngrams.following(row, n_tokens)

    def match(self, context: Sequence[int]) -> Match | None:
        """Return the longest match of a context's end in visible memory, and what followed it."""
        end = tuple(context[-MAX_MATCH_TOKENS:])
        if self._matched is None or self._matched[0] != end:  # drafts and copies look up the same
            match = self._memory.rows.ngrams.match(end, self._visible_rows)
            self._matched = end, match
        return self._matched[1]

    def credit(self, rows: Tensor, mass: float) -> None:
        """Count rows (n,) that a token was copied from, as if attention had fallen on them."""
        self._mass[rows.to(self._mass.device)] += mass / len(rows)

    def sources(self, n_most: int) -> list[Source]:
        """Return the pages with the most attention, while ``records_attention`` was set."""
        total = float(self._mass.sum())
        if not total:
            return []
        n_rows = min(MAX_SOURCE_ROWS, len(self._mass))
        rows = self._mass.topk(n_rows).indices.sort().values.tolist()
        attended = (page for page in self._pages_of(rows) if page.mass > 0)
        best = nlargest(n_most, attended, key=attrgetter("mass"))
        return [page.source(total) for page in best]

    def _observe(self, first: int, weights: Tensor, rows: Tensor | None) -> None:
        self._observed.append((first, weights, rows))

    def _pages_of(self, rows: list[int]) -> Iterator["_Page"]:
        """Yield the pages that contain the rows, which are in ascending order.

        A page of a segment that occurs in several files is yielded for each of them.
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
                    of_page = mass[from_row : min(from_row + PAGE_TOKENS, end)].sum()
                    yield _Page(float(of_page), file, segment, page)


@dataclass(frozen=True)
class _Page:
    """Page of a file's segment, with the attention that fell on it."""

    mass: float
    file: RememberedFile
    segment: RememberedSegment
    number: int

    def source(self, total: float) -> Source:
        """Return its lines, and its share of all attention."""
        piece, offsets = self.segment.piece, self.segment.page_offsets
        text = self.file.text[piece.start : piece.end]
        start, end = offsets[self.number], offsets[self.number + 1]
        first, last = line_at(text, start), line_at(text, max(start, end - 1))
        before = piece.first_line + 1
        return Source(self.file.path, before + first, before + last, self.mass / total)


def _fingerprint(
    memory: RepositoryMemory, hidden: list[tuple[RememberedSegment, int]]
) -> tuple[object, ...]:
    """Return a hash of the visible segments, and the hidden pages of partly visible ones.

    A segment whose pages are all hidden does not count, so it may be encoded anew without changing
    the fingerprint. As a rule, that is the segment that the user types in.
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
    """Return the first row of a page, and one past its last."""
    start, end = memory.rows.span(segment.id)
    first = start + page * PAGE_TOKENS
    return first, min(first + PAGE_TOKENS, end)


def _repeated_pages(
    memory: RepositoryMemory, local: LocalText | None
) -> list[tuple[RememberedSegment, int]]:
    """Return the pages of the current file whose text is in the local context."""
    file = memory.files.get(local.path) if local is not None else None
    if file is None or local is None:
        return []
    start, end = _encoded_offsets(local, file.text)
    return [
        (segment, page)
        for segment in file.segments
        if segment.piece.start < end and start < segment.piece.end
        for page in range(len(segment.page_offsets) - 1)
        if segment.piece.start + segment.page_offsets[page] < end
        and start < segment.piece.start + segment.page_offsets[page + 1]
    ]


def _encoded_offsets(local: LocalText, encoded: str) -> tuple[int, int]:
    """Return the offsets of the local context in the encoded text, which may be out of date.

    The texts' common beginning and end map one to one. The encoded text between them is old, and
    counts as repeated if the local context reaches into it.
    """
    if local.text == encoded:
        return local.start, local.end
    same_start = common_prefix_length(local.text, encoded)
    same_end = common_prefix_length(local.text[same_start:][::-1], encoded[same_start:][::-1])
    edit_end, lag = len(local.text) - same_end, len(encoded) - len(local.text)
    start, end = local.start, local.end
    if start > same_start:
        start = start + lag if start >= edit_end else same_start
    if end > same_start:
        end = end + lag if end >= edit_end else len(encoded) - same_end
    return start, end
