"""Drafts of the next tokens, which are verified in one forward pass.

A draft is what followed the longest match of the context's end, in memory or in the prompt. A pass
over a few tokens reads the same weights as a pass over one, but each further token takes a fifth of
its time, or nearly all of it on CPUs where arithmetic is the limit (``KernelModel.drafts_pay``). So
drafts begin short, and grow while they are right. The output is that of plain
decoding. Sources: "REST: Retrieval-Based Speculative Decoding" (arXiv 2311.08252); prompt lookup
decoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.retrieval.ngrams import Match, NgramIndex

MAX_DRAFT_TOKENS = 12
FIRST_DRAFT_TOKENS = 2
LEAST_DRAFT_TOKENS = 1
"""Lengths of drafts: the most, those of a first one, and the least."""
FIRST_MATCH_TOKENS = 2
"""Length from which a match is followed; it grows when a draft's first token is wrong."""
LEAST_MATCH_TOKENS, MOST_MATCH_TOKENS = 1, 12


class Drafter:
    """Drafts for one completion, with a length that adapts to their success.

    Args:
        memory: visible memory, if there is any.
        context: ids so far; its owner appends the chosen ones.
    """

    def __init__(self, memory: CompletionMemory | None, context: Sequence[int]) -> None:
        self._memory, self._context = memory, context
        self._prompt = NgramIndex()
        self._prompt.add(torch.tensor(context))
        self._n_tokens, self._least_match = FIRST_DRAFT_TOKENS, FIRST_MATCH_TOKENS

    def guess(self) -> list[int]:
        """Return ids that may follow the context, or none if no match is long enough."""
        in_memory = None if self._memory is None else self._memory.match(self._context)
        in_prompt = self._prompt.match(self._context)
        if _length(in_prompt) >= max(self._least_match, _length(in_memory)):
            return self._prompt.following(_likeliest(in_prompt), self._n_tokens)
        if self._memory is not None and _length(in_memory) >= self._least_match:
            return self._memory.following(_likeliest(in_memory), self._n_tokens)
        return []

    def learn(self, n_guessed: int, n_right: int) -> None:
        """Adapt to how many ids of the last draft were right."""
        if n_right == n_guessed:
            self._n_tokens = min(2 * self._n_tokens, MAX_DRAFT_TOKENS)
            self._least_match = max(self._least_match - 1, LEAST_MATCH_TOKENS)
        elif not n_right:
            self._n_tokens = max(self._n_tokens // 2, LEAST_DRAFT_TOKENS)
            self._least_match = min(self._least_match + 1, MOST_MATCH_TOKENS)


def _length(match: Match | None) -> int:
    return 0 if match is None else match.length


def _likeliest(match: Match | None) -> int:
    """Return the last row of the token that followed most often."""
    assert match is not None
    token = match.tokens[match.counts.argmax()]
    return int(match.rows[match.followers == token].max())
