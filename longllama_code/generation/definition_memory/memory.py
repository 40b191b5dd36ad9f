"""Memory of definitions: encodes them one by one, and places any of them before a prompt.

A definition is encoded behind the head that all prompts of its repository begin with
(``definition_layout.py``), so its keys and values depend on the head and on itself. Which others
are placed beside it, and in which order they were encoded, makes no difference.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor

from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS, Decoder, PlacedText
from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.generation.definition_memory.kept_definitions import KeptDefinitions
from longllama_code.generation.definition_memory.rounding import CosSin, Rows
from longllama_code.generation.prompting.definition_layout import (
    DefinitionLayout,
    excerpt_ids,
    head_ids,
)
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.generation.prompting.prepared_prompt import Wanted, keys_of
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.model.caches import LayerRows
from longllama_code.model.rope import Rotary
from longllama_code.tokenizers.tokenizer import Tokenizer

MAX_TOKENS = 512
"""Most tokens of an excerpt; a longer one is not encoded."""
MAX_HEAD_TOKENS = 256
"""Most tokens of a head; nothing is encoded behind a longer one."""
MAX_HEADS = 16
"""Most heads, one for each repository, whose keys and values are cached."""
MAX_TOKENIZED = 20_000
"""Most excerpts whose tokens are cached."""


@dataclass(frozen=True)
class _Part:
    """An excerpt that is encoded."""

    excerpt: Excerpt
    identity: str
    content: Tensor
    n_tokens: int


class DefinitionMemory:
    """Encoded definitions of one model. Only the thread that owns the model may use it.

    Args:
        make: makes a decoder of the model.
        rotary: the model's rotation of positions.
        tokenizer: the model's.
        marks: the model's infill marks.
        kept: what is encoded already.
    """

    def __init__(
        self,
        make: Callable[[], Decoder],
        rotary: Rotary,
        tokenizer: Tokenizer,
        marks: InfillMarks,
        kept: KeptDefinitions,
    ) -> None:
        self._make, self._rotary, self.kept = make, rotary, kept
        self._heads = OrderedDict[tuple[int, ...], Opening]()
        self.n_encoded = 0
        """Number of definitions encoded since the start."""

        @lru_cache(MAX_HEADS)
        def head_of(repository: str) -> tuple[int, ...]:
            return tuple(head_ids(repository, tokenizer, marks))

        @lru_cache(MAX_TOKENIZED)
        def ids_of(path: str, text: str) -> tuple[int, ...]:
            return tuple(excerpt_ids(path, text, tokenizer, marks))

        self._head_of, self._ids_of = head_of, ids_of

    def has(self, repository: str, excerpt: Excerpt) -> bool:
        """Whether an excerpt is encoded."""
        return self._identity(repository, excerpt) in self.kept

    def lacks(self, repository: str, excerpt: Excerpt) -> bool:
        """Whether an excerpt can be encoded, and is not."""
        head, ids = self._head_of(repository), self._ids_of(excerpt.path, excerpt.text)
        can_be_encoded = len(head) <= MAX_HEAD_TOKENS and len(ids) <= MAX_TOKENS
        return can_be_encoded and not self.has(repository, excerpt)

    def available(self, repository: str, wanted: Wanted, goes_on: Callable[[], bool]) -> Wanted:
        """Return what is wanted as far as it is encoded; first encode what is not, the best first.

        Args:
            repository: the repository's name.
            wanted: what a cursor should be shown.
            goes_on: whether there is time to encode; called between steps.
        """
        for excerpt in reversed(wanted.excerpts):
            if self.lacks(repository, excerpt):
                work = self.encode(repository, excerpt)
                while goes_on() and next(work, True) is None:
                    pass
        excerpts = tuple(each for each in wanted.excerpts if self.has(repository, each))
        return replace(wanted, excerpts=excerpts, needed=wanted.needed & keys_of(excerpts))

    def encode(self, repository: str, excerpt: Excerpt) -> Generator[None]:
        """Encode an excerpt and store it; yields between steps of its tokens."""
        head = self._head_of(repository)
        ids = [*head, *self._ids_of(excerpt.path, excerpt.text)]
        # Passes of the same tokens, whatever comes in between: results may depend on their passes.
        decoder, behind = self._make(), self._placed(head, [])
        ends = [*range(len(head) + PREFILL_STEP_TOKENS, len(ids), PREFILL_STEP_TOKENS), len(ids)]
        for end in ends:
            decoder.read(ids[:end], None, behind)
            if end < len(ids):
                yield
        opening = _rows_from(decoder.snapshot(), len(head))
        rotation = self._rotation(len(head), len(ids))
        self.kept.put(self._identity(repository, excerpt), opening, rotation)
        self.n_encoded += 1

    def placed(
        self,
        repository: str,
        excerpts: Sequence[Excerpt],
        max_tokens: int,
        *,
        exchanges: bool = False,
    ) -> PlacedText | None:
        """Return the excerpts that are encoded, as text before a prompt; None if none is.

        Args:
            repository: the repository's name, in the prompt and in the excerpts' head.
            excerpts: excerpts, the most wanted last.
            max_tokens: most tokens of all excerpts.
            exchanges: see ``PlacedText``.
        """
        parts = self._parts(repository, reversed(excerpts), max_tokens)
        if not parts:
            return None
        return replace(self._placed(self._head_of(repository), parts), exchanges=exchanges)

    def _placed(self, head: tuple[int, ...], parts: list[_Part]) -> PlacedText:
        lengths = [part.n_tokens for part in parts]
        layout = DefinitionLayout(len(head), tuple(lengths))
        firsts = accumulate(lengths, initial=len(head))
        return PlacedText(
            key=(head, tuple(part.identity for part in parts)),
            ids=head,
            n_rows=layout.n_rows,
            following=layout.top,
            write=lambda rows: self._write(head, parts, rows),
            starts={part.excerpt: at for part, at in zip(parts, firsts, strict=False)},
        )

    def _parts(self, repository: str, excerpts: Iterable[Excerpt], max_tokens: int) -> list[_Part]:
        """Return those that are encoded and fit, by id: their order must make no difference."""
        parts = dict[str, _Part]()
        for excerpt in excerpts:
            identity = self._identity(repository, excerpt)
            n_tokens = len(self._ids_of(excerpt.path, excerpt.text))
            content = self.kept.content(identity) if n_tokens <= max_tokens else None
            if content is not None and identity not in parts:
                parts[identity] = _Part(excerpt, identity, content, n_tokens)
                max_tokens -= n_tokens
        return [parts[identity] for identity in sorted(parts)]

    def _write(self, head: tuple[int, ...], parts: Sequence[_Part], rows: LayerRows) -> None:
        at = len(head)
        if head:
            opening = self._opening_of(head)
            written = zip(rows, opening.keys, opening.values, strict=True)
            for (keys, values), its_keys, its_values in written:
                keys[:, :at], values[:, :at] = its_keys, its_values
        into = Rows(rows)
        longest = self._rotation(at, at + max((part.n_tokens for part in parts), default=0))
        for part in parts:
            cos, sin = (each[: part.n_tokens] for each in longest)
            self.kept.spread(part.content, (cos, sin), into, at)
            at += part.n_tokens

    def _opening_of(self, head: tuple[int, ...]) -> Opening:
        """Return the keys and values of a head; they are few, and are not rounded."""
        if head not in self._heads:
            decoder = self._make()
            decoder.read(list(head), None)
            self._heads[head] = decoder.snapshot()
            if len(self._heads) > MAX_HEADS:
                self._heads.popitem(last=False)
        return self._heads[head]

    def _rotation(self, first: int, end: int) -> CosSin:
        """Return the cosines and sines of some positions, each (n, D)."""
        device = self._rotary.frequencies.inv_freq.device
        positions = torch.arange(first, end, device=device)[None]
        cos, sin = self._rotary(torch.empty(0, device=device), positions).local
        return cos[0, 0].float().cpu(), sin[0, 0].float().cpu()

    def _identity(self, repository: str, excerpt: Excerpt) -> str:
        ids = self._ids_of(excerpt.path, excerpt.text)
        return self.kept.identity(self._head_of(repository), ids)


def _rows_from(opening: Opening, first: int) -> Opening:
    """Return the keys and values of the tokens from one on."""
    return Opening(opening.keys[:, :, first:], opening.values[:, :, first:])
