"""Prefill and greedy decoding over a local cache and a memory source."""

from collections.abc import Callable, Collection, Iterator

import torch
from torch import Tensor

from longllama_code.errors import Cancelled
from longllama_code.memory.view import MemoryView
from longllama_code.model.cache import LongLlamaCache
from longllama_code.model.modeling import LongLlamaForCausalLM

PREFILL_STEP_TOKENS = 128
"""Tokens between two looks at whether the request is still wanted."""

ShouldStop = Callable[[], bool]


class Decoder:
    """Runs the model over one sequence, and keeps its keys and values for the next request.

    Args:
        model: the model.
        forbidden: ids that are never generated.
    """

    def __init__(self, model: LongLlamaForCausalLM, forbidden: Collection[int] = ()) -> None:
        self._model = model
        self._forbidden = torch.tensor(sorted(forbidden), device=model.device, dtype=torch.int64)
        self._cache = LongLlamaCache(model.config, spills=False)
        self._ids: list[int] = []
        self._seen: object = None

    @torch.inference_mode()
    def prefill(self, ids: list[int], view: MemoryView | None, should_stop: ShouldStop) -> int:
        """Take in all but the last of the ids; return how many an earlier request left behind.

        What is left behind is valid as long as the memory seen is the same.

        Raises:
            Cancelled: the request is no longer wanted; what was taken in is kept.
        """
        seen = None if view is None else view.fingerprint
        reused = _common_length(self._ids, ids[:-1]) if seen == self._seen else 0
        self._cache.truncate(reused)
        self._ids, self._seen = ids[:reused], seen
        for start in range(reused, len(ids) - 1, PREFILL_STEP_TOKENS):
            if should_stop():
                raise Cancelled("the request was withdrawn while its text was read")
            self._forward(ids[start : min(start + PREFILL_STEP_TOKENS, len(ids) - 1)], view)
        return reused

    @torch.inference_mode()
    def steps(
        self, last_id: int, view: MemoryView | None, choose: Callable[[Tensor], int]
    ) -> Iterator[int]:
        """Feed the last id and yield what ``choose`` makes of the logits (V,), for ever."""
        if view is not None:
            view.records_mass = True
        token = last_id
        while True:
            hidden = self._forward([token], view)
            logits = self._model.lm_head(hidden[0, -1])
            token = choose(logits.index_fill(0, self._forbidden, float("-inf")))
            yield token

    def _forward(self, ids: list[int], view: MemoryView | None) -> Tensor:
        """Hidden states (1, S, E) of ids that follow those taken in so far."""
        model, device = self._model.model, self._model.device
        start = self._cache.local_length
        positions = torch.arange(start, start + len(ids), device=device)[None]
        padding = torch.ones(1, start + len(ids), dtype=torch.bool, device=device)
        embeds = model.embed_tokens(torch.tensor([ids], device=device))
        hidden = model.window(embeds, positions, padding, self._cache, view)
        self._ids += ids
        return hidden


def _common_length(one: list[int], other: list[int]) -> int:
    for length, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return length
    return min(len(one), len(other))
