"""Prefill and greedy decoding over a local cache and repository memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from longllama_code.errors import Cancelled
from longllama_code.generation.decoding.reading_speed import ReadingSpeed
from longllama_code.generation.decoding.speculation import Drafter
from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.model.attention_mass import AttentionMass
from longllama_code.model.by_kernels.kernel_model import KernelModel
from longllama_code.model.caches import LayerRows, LongLlamaCache
from longllama_code.model.rope import rotate

if TYPE_CHECKING:
    from longllama_code.model.any_model import AnyModel

PREFILL_STEP_TOKENS = 64
"""Tokens of a prefill step; between two steps, the request may be cancelled."""

ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class PlacedText:
    """Text that was processed elsewhere, and whose keys and values are placed before a prompt's.

    Its first tokens are the prompt's own first ids, such as the repository's name. The tokens
    behind them, such as those of definitions, are of no prompt.
    """

    key: object
    """Equal for equal keys and values."""
    ids: tuple[int, ...]
    """First ids of the prompts that it is for."""
    n_rows: int
    """Number of its tokens, those ids included."""
    following: int
    """Position of the prompt's next token."""
    write: Callable[[LayerRows], None]
    """Writes rotated keys and values into rows of all layers, in float32 on a CPU."""
    exchanges: bool = False
    """Whether it may take the place of another text, while what was processed behind that one
    stays as it is; see ``is_stale``."""
    starts: Mapping[Hashable, int] = field(default_factory=dict[Hashable, int])
    """First token of each of its parts behind the ids, by what the part shows."""

    @property
    def n_added(self) -> int:
        """Number of its tokens that are not of the prompt."""
        return self.n_rows - len(self.ids)


class Decoder:
    """Model over one sequence, whose keys and values are kept for the next request.

    Args:
        model: the model.
        forbidden: ids that are never generated.
        kernels: the same model run by kernels, if there are any for it; they run all passes then.
        speed: is told how long passes take; None measures for this decoder alone.
    """

    def __init__(
        self,
        model: AnyModel,
        forbidden: Collection[int] = (),
        kernels: KernelModel | None = None,
        speed: ReadingSpeed | None = None,
    ) -> None:
        self._model, self._kernels = model, kernels
        self._speed = speed or ReadingSpeed()
        self._forbidden = torch.tensor(sorted(forbidden), device=model.device, dtype=torch.int64)
        self._window = model.config.window
        self._attends_to_memory = bool(model.config.mem_layers)
        self._cache = LongLlamaCache(model.config, spills=False)
        self._ids: list[int] = []
        self._memory_fingerprint: object = None
        self._placed: PlacedText | None = None
        self._n_stale = 0
        """Number of the first ids that were processed behind another text than ``_placed``."""
        self.n_passes = 0
        """Number of forward passes since the last suggestion began."""
        self.n_reused = 0
        """Number of ids of the last prompt that were in the cache already."""

    @property
    def nbytes(self) -> int:
        """Bytes of the cached keys and values."""
        return self._cache.nbytes

    @property
    def drafts_pay(self) -> bool:
        """Whether drafts save time; kernels measure it, as it depends on the CPU."""
        return self._kernels is None or self._kernels.drafts_pay

    @property
    def length(self) -> int:
        """Number of ids in the cache."""
        return len(self._ids)

    def n_common(
        self, ids: list[int], memory: CompletionMemory | None, placed: PlacedText | None = None
    ) -> int:
        """Return how many ids of a prompt, except its last one, need not be processed.

        Args:
            ids: the prompt.
            memory: repository memory that layers attend to.
            placed: text before the prompt that was processed elsewhere, and need not be, either.
        """
        n_placed = 0 if placed is None else len(placed.ids)
        return max(n_placed, self.n_held(ids, memory, placed))

    def n_held(
        self, ids: list[int], memory: CompletionMemory | None, placed: PlacedText | None = None
    ) -> int:
        """Return how many ids of a prompt, except its last one, are in the cache."""
        if self._fingerprint_of(memory) != self._memory_fingerprint:
            return 0
        is_usable = self._holds(placed) or self._can_exchange(placed)
        return _common_length(self._ids, ids[:-1]) if is_usable else 0

    @torch.inference_mode()
    def begin_like(self, other: Decoder, n_ids: int) -> None:
        """Replace the cache by copies of the first ids in another one, and of what precedes them.

        Args:
            other: a decoder of the same model.
            n_ids: number of ids; 0 copies nothing.
        """
        placed = other._placed if n_ids else None
        self._cache.take(other._cache, other._n_rows(n_ids) if n_ids else 0)
        self._ids, self._placed = other._ids[:n_ids], placed
        self._memory_fingerprint = other._memory_fingerprint
        self._n_stale = min(other._n_stale, n_ids)

    def _holds(self, placed: PlacedText | None) -> bool:
        """Whether the cache begins with a text, or with none if it is None."""
        return _key_of(placed) == _key_of(self._placed)

    def _fingerprint_of(self, memory: CompletionMemory | None) -> object:
        return memory.fingerprint if memory is not None and self._attends_to_memory else None

    @torch.inference_mode()
    def prefill(
        self,
        ids: list[int],
        memory: CompletionMemory | None,
        should_stop: ShouldStop,
        placed: PlacedText | None = None,
    ) -> int:
        """Process a prompt except its last ids; return how many ids were in the cache already.

        Cached keys are valid as long as the memory that layers attend to is the same, and the text
        placed before the prompt. The last ids, at most a step's, are processed by the pass that
        predicts the first token. Without kernels it is one id, because a token's logits may depend
        on the other tokens of its pass.

        Raises:
            Cancelled: ``should_stop`` returned true; the cache keeps what was processed.
        """
        reused = self.n_reused = self._go_back(ids, memory, placed)
        most_left = 1 if self._kernels is None else PREFILL_STEP_TOKENS
        while (n_unread := len(ids) - len(self._ids)) > 1:
            if should_stop():
                raise Cancelled("the request was cancelled while its prompt was processed")
            if n_unread <= most_left:
                break
            n_next = min(PREFILL_STEP_TOKENS, n_unread - 1)
            self._forward(ids[-n_unread : n_next - n_unread], memory)
        return reused

    @torch.inference_mode()
    def read(
        self, ids: list[int], memory: CompletionMemory | None, placed: PlacedText | None = None
    ) -> int:
        """Process the beginning of a prompt in one pass, to its last id; return its length."""
        reused = self._go_back([*ids, -1], memory, placed)
        if reused < len(ids):
            self._forward(ids[reused:], memory)
        return len(ids)

    @torch.inference_mode()
    def restore(self, ids: list[int], opening: Opening, memory: CompletionMemory | None) -> None:
        """Replace the cache by ids that were processed before, perhaps by another process."""
        device = self._model.device
        self._cache.restore(opening.keys.to(device), opening.values.to(device))
        self._ids, self._memory_fingerprint = list(ids), self._fingerprint_of(memory)
        self._placed, self._n_stale = None, 0

    def snapshot(self) -> Opening:
        """Return the keys and values of all layers for the ids in the cache."""
        keys, values = self._cache.snapshot()
        return Opening(keys.cpu(), values.cpu())

    def _go_back(
        self, ids: list[int], memory: CompletionMemory | None, placed: PlacedText | None
    ) -> int:
        """Truncate the cache to what a prompt begins with; return how many ids are left."""
        assert placed is None or tuple(ids[: len(placed.ids)]) == placed.ids, "another prompt's"
        reused = self.n_common(ids, memory, placed)
        self._cache.mass = None
        if self._holds(placed):
            self._cache.truncate(self._n_rows(reused))
            self._n_stale = min(self._n_stale, reused)
        elif placed is not None and reused > len(placed.ids):
            self._exchange(placed, reused)
        else:
            self._begin_with(placed)
        self._ids, self._memory_fingerprint = ids[:reused], self._fingerprint_of(memory)
        return reused

    def _begin_with(self, placed: PlacedText | None) -> None:
        """Replace the cache by a text that was processed before, or by nothing."""
        self._cache.truncate(0)
        self._ids, self._placed, self._n_stale = [], None, 0
        if placed is not None and placed.n_rows:
            self._place(placed)
        self._placed = placed

    @property
    def is_stale(self) -> bool:
        """Whether ids in the cache were processed behind another text than stands before them.

        Their keys and values are then not those of a prompt that is processed anew.
        """
        return self._n_stale > (0 if self._placed is None else len(self._placed.ids))

    def _can_exchange(self, placed: PlacedText | None) -> bool:
        """Whether a text can replace the one that stands before the ids in the cache."""
        if placed is None or not placed.exchanges:
            return False
        return tuple(self._ids[: len(placed.ids)]) == placed.ids

    def _exchange(self, placed: PlacedText, n_ids: int) -> None:
        """Replace the text before the first ids, which stay as they were processed."""
        self._cache.truncate(self._n_rows(n_ids))
        old, n_kept = self._placed, len(placed.ids)
        n_rows, following = (n_kept, n_kept) if old is None else (old.n_rows, old.following)
        keys, values = self._cache.snapshot(n_rows)
        self._begin_with(placed)
        self._cache.extend(self._moved(keys, placed.following - following), values)
        self._n_stale = n_ids

    def _moved(self, keys: Tensor, distance: int) -> Tensor:
        """Return rotated keys (layers, G, n, D) as if tokens stood some positions further on."""
        if not distance:
            return keys
        config, rotary = self._model.config, self._model.model.rotary
        positions = torch.tensor([[abs(distance)]], device=keys.device)
        cos, sin = (part / rotary.position_zero_scale for part in rotary(keys, positions).local)
        moved = rotate(keys, cos, sin if distance > 0 else -sin)
        if not config.mem_positionals:
            moved[list(config.mem_layers)] = keys[list(config.mem_layers)]
        return moved

    def _place(self, placed: PlacedText) -> None:
        """Append a text's keys and values to the empty cache."""
        config, device, dtype = self._model.config, self._model.device, self._model.dtype
        head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        shape = config.n_kv_heads, placed.n_rows, head_dim
        if device.type == "cpu" and dtype == torch.float32:
            placed.write(self._cache.room_for(torch.empty(shape), placed.following))
            return
        rows = torch.empty(2, config.num_hidden_layers, *shape)
        placed.write(list(zip(*rows, strict=True)))
        keys, values = rows.to(device, dtype)
        self._cache.place(keys, values, placed.following)

    def _n_rows(self, n_ids: int) -> int:
        """Return how many tokens of the cache hold the first ids of the prompt."""
        return n_ids if self._placed is None else n_ids + self._placed.n_added

    @torch.inference_mode()
    def steps(
        self,
        ids: list[int],
        memory: CompletionMemory | None,
        choose: Callable[[Tensor], int],
        drafter: Drafter | None = None,
        bounds: Sequence[int] = (),
    ) -> Iterator[int]:
        """Generate tokens without end, after ``prefill`` of the same ids.

        Args:
            ids: the prompt.
            memory: repository memory, as for ``prefill``.
            choose: picks the next token by logits (V,).
            drafter: guesses tokens, which are verified in one pass; the result is the same as
                without it, from fewer passes.
            bounds: rows of the cache in which the segments begin whose shares of attention
                ``shares`` returns, then the row behind the last one; empty for no segments.
        """
        if memory is not None:
            memory.records_attention = True
        mass = self._watch(bounds)
        self.n_passes = 0
        unread = ids[len(self._ids) :]
        while True:
            n_read = len(self._ids) + len(unread)
            n_left = self._window - self._n_rows(n_read)
            guess = [] if drafter is None else drafter.guess()[: max(0, n_left)]
            hidden = self._forward(unread + guess, memory)
            self.n_passes += 1
            n_right, last = 0, len(unread) - 1
            logits = self._logits(hidden[last:])
            while True:  # as long as the guess says what the model says
                token = choose(logits(n_right).index_fill(0, self._forbidden, float("-inf")))
                if memory is not None:
                    memory.count(last + n_right)
                if mass is not None:
                    mass.count(last + n_right)
                if n_right == len(guess) or token != guess[n_right]:
                    break
                n_right += 1
                yield token
            self._keep(n_read + n_right)
            if drafter is not None and guess:
                drafter.learn(len(guess), n_right)
            unread = [token]
            yield token

    def _watch(self, bounds: Sequence[int]) -> AttentionMass | None:
        """Begin to sum up the attention to some segments, as ``steps`` has their bounds."""
        config, mass = self._model.config, None
        if bounds:
            n_layers, n_heads = config.num_hidden_layers, config.num_attention_heads
            mass = AttentionMass(bounds, n_layers, n_heads, self._model.device)
        self._cache.mass = mass
        return mass

    @property
    def shares(self) -> list[float]:
        """Share of each segment in the attention of the tokens that ``steps`` generated last."""
        return [] if self._cache.mass is None else self._cache.mass.shares

    def _logits(self, hidden: Tensor) -> Callable[[int], Tensor]:
        """Return what returns the logits (V,) of a row of (S, E).

        Kernels find those of all rows at once, as the head's weights are then read once. Without
        kernels they might depend on each other.
        """
        if self._kernels is not None:
            return self._kernels.logits(hidden).__getitem__
        return lambda row: self._model.lm_head(hidden[row])

    def _keep(self, length: int) -> None:
        """Drop the keys and values of rejected draft tokens."""
        self._cache.truncate(self._n_rows(length))
        del self._ids[length:]

    def _forward(self, ids: list[int], memory: CompletionMemory | None) -> Tensor:
        """Process ids that follow those in the cache; return hidden states (S, E)."""
        if memory is not None:
            memory.begin_pass()
        if self._cache.mass is not None:
            self._cache.mass.begin_pass(len(ids))
        started = time.perf_counter()
        if self._kernels is not None:
            hidden = self._kernels.run(ids, self._cache, memory)
        else:
            hidden = self._run_model(ids, memory)
        self._speed.note(len(ids), time.perf_counter() - started)
        self._ids += ids
        return hidden

    def _run_model(self, ids: list[int], memory: CompletionMemory | None) -> Tensor:
        model, device = self._model.model, self._model.device
        start, n_rows = self._cache.following, self._cache.local_length + len(ids)
        positions = torch.arange(start, start + len(ids), device=device)[None]
        padding = torch.ones(1, n_rows, dtype=torch.bool, device=device)
        embeds = model.embed_tokens(torch.tensor([ids], device=device))
        return model.window(embeds, positions, padding, self._cache, memory)[0]


def _key_of(placed: PlacedText | None) -> object:
    return None if placed is None else placed.key


def _common_length(one: list[int], other: list[int]) -> int:
    for length, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return length
    return min(len(one), len(other))
