"""Prefill and greedy decoding over a local cache and a memory source."""

from collections.abc import Callable, Collection, Iterator
from copy import copy

import torch
from torch import Tensor

from longllama_code.errors import Cancelled
from longllama_code.generation.speculation import Drafter
from longllama_code.memory.view import MemoryView
from longllama_code.model.cache import LongLlamaCache
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.small_pass import MAX_TOKENS, SmallPass

PREFILL_STEP_TOKENS = 128
"""Tokens between two looks at whether the request is still wanted."""

MAX_WARM = 3
"""Sequences whose keys and values are kept for their next request: they take as much room each."""

ShouldStop = Callable[[], bool]


class Decoder:
    """Runs the model over one sequence, and keeps its keys and values for the next request.

    Args:
        model: the model.
        forbidden: ids that are never generated.
        small: runs its passes over a few tokens, where there is something faster than the model.
    """

    def __init__(
        self,
        model: LongLlamaForCausalLM,
        forbidden: Collection[int] = (),
        small: SmallPass | None = None,
    ) -> None:
        self._model, self._small = model, small
        self._forbidden = torch.tensor(sorted(forbidden), device=model.device, dtype=torch.int64)
        self._window = model.config.window
        self._warm: list[Decoder] = []
        self._forget_sequence()
        self.n_passes = 0
        """Of all steps so far."""

    def beside(self) -> "Decoder":
        """Another one over the same model, for another sequence."""
        other = copy(self)
        other._forget_sequence()
        return other

    def rest(self) -> None:
        """Let go of the sequence; the next one is read from its beginning."""
        self._forget_sequence()
        if self in self._warm:
            self._warm.remove(self)

    @torch.inference_mode()
    def prefill(self, ids: list[int], view: MemoryView | None, should_stop: ShouldStop) -> int:
        """Take in all but the last of the ids; return how many an earlier request left behind.

        What is left behind is valid as long as the memory seen is the same.

        Raises:
            Cancelled: the request is no longer wanted; what was taken in is kept.
        """
        self._keep_warm()
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
        self,
        last_id: int,
        view: MemoryView | None,
        choose: Callable[[Tensor], int],
        drafter: Drafter | None = None,
    ) -> Iterator[int]:
        """Feed the last id and yield what ``choose`` makes of the logits (V,), for ever.

        A drafter's guess is fed along, and serves as far as it is what was chosen: the tokens are
        the same as without, from fewer passes.
        """
        if view is not None:
            view.records_mass = True
        token = last_id
        while True:
            n_before = len(self._ids)
            guess = [] if drafter is None else drafter.guess()[: self._window - n_before - 1]
            hidden = self._forward([token, *guess], view)
            self.n_passes += 1
            n_right = 0
            while True:
                token = self._choose(hidden[n_right], choose)
                if view is not None:
                    view.count(n_right)
                if n_right == len(guess) or token != guess[n_right]:
                    break
                n_right += 1
                yield token
            self._keep(n_before + 1 + n_right)
            if drafter is not None and guess:
                drafter.learn(len(guess), n_right)
            yield token

    def _forget_sequence(self) -> None:
        self._cache = LongLlamaCache(self._model.config, spills=False)
        self._ids: list[int] = []
        self._seen: object = None

    def _keep_warm(self) -> None:
        """Be one of the few, of all beside one another, whose keys and values are kept."""
        if self in self._warm:
            self._warm.remove(self)
        self._warm.append(self)
        while len(self._warm) > MAX_WARM:
            self._warm[0].rest()

    def _choose(self, hidden: Tensor, choose: Callable[[Tensor], int]) -> int:
        logits = self._small.logits(hidden) if self._small else self._model.lm_head(hidden)
        return choose(logits.index_fill(0, self._forbidden, float("-inf")))

    def _keep(self, length: int) -> None:
        """Forget the keys and values of a guess that was wrong."""
        self._cache.truncate(length)
        del self._ids[length:]

    def _forward(self, ids: list[int], view: MemoryView | None) -> Tensor:
        """Hidden states (S, E) of ids that follow those taken in so far."""
        if view is not None:
            view.begin_pass()
        if self._small is not None and len(ids) <= MAX_TOKENS:
            hidden = self._small.run(ids, self._cache, view)
        else:
            hidden = self._run_model(ids, view)
        self._ids += ids
        return hidden

    def _run_model(self, ids: list[int], view: MemoryView | None) -> Tensor:
        model, device = self._model.model, self._model.device
        start = self._cache.local_length
        positions = torch.arange(start, start + len(ids), device=device)[None]
        padding = torch.ones(1, start + len(ids), dtype=torch.bool, device=device)
        embeds = model.embed_tokens(torch.tensor([ids], device=device))
        return model.window(embeds, positions, padding, self._cache, view)[0]


def _common_length(one: list[int], other: list[int]) -> int:
    for length, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return length
    return min(len(one), len(other))
