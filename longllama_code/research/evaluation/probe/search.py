"""The probe's search for key-value heads that use memory.

Each head alone gets memory on a first set of repositories; the best are added one by one as long as
a second, disjoint set improves and another repository's memory does no harm.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from longllama_code.config import LongLlamaConfig
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.losses import Window
from longllama_code.research.evaluation.probe.data import Sizes, Subject, split, subjects, usable
from longllama_code.research.evaluation.probe.head_capture import (
    AllHeads,
    Head,
    all_heads,
    capture,
    config_fields,
    rerun,
)
from longllama_code.research.evaluation.probe.head_choice import (
    Change,
    Losses,
    Rules,
    Step,
    choose,
    rank,
)

Progress = Callable[[str], None]
"""Called with a line that describes the current work."""

HEADER_TOKENS = 64
"""Room for the tokens before a window's text."""


@dataclass(frozen=True)
class ProbeOptions:
    """Everything that the result depends on, except the model and the repositories."""

    sizes: Sizes = field(default_factory=Sizes)
    rules: Rules = field(default_factory=Rules)
    top_k: int | None = None
    """Keys of memory that each query sees; None uses the model's configuration."""
    seed: int = 0


@dataclass(frozen=True)
class ProbeResult:
    """Result of the search, with its data."""

    options: ProbeOptions
    top_k: int | None
    """Value that was used."""
    first: list[Subject]
    second: list[Subject]
    skipped: list[str]
    """Repositories too small for a window."""
    changes: dict[Head, Change]
    """Change of the loss on the first set with memory in one head, in nats per token."""
    ranked: list[Head]
    local: Change
    """Loss on the second set without memory."""
    accepted: list[Head]
    steps: list[Step]


def probe(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: ProbeOptions,
    progress: Progress = lambda _: None,
) -> ProbeResult:
    """Find the heads of a model that are worth giving memory to; the model stays as it is.

    Raises:
        ConfigError: the model cannot be probed, or there are too few repositories.
    """
    config, sizes = loaded.trainable.config, options.sizes
    check(config, sizes)
    rng = random.Random(options.seed)
    kept = usable(loaded, trees, sizes.window_tokens)
    top_k = config.mem_top_k if options.top_k is None else options.top_k
    with config_fields(config, {"mem_top_k": top_k}):
        halves = split(kept, rng)
        progress(f"encoding {len(kept)} repositories")
        first, second = (subjects(loaded, half, sizes, rng) for half in halves)
        changes = screen(loaded, first, progress)
        ranked = rank(changes)
        measure = Rerunning(loaded, second, foreigners(first, second), progress)
        local = measure.local()
        accepted, steps = choose(ranked, local, measure, options.rules)
    names = {id(tree) for tree in kept}
    skipped = [tree.name for tree in trees if id(tree) not in names]
    return ProbeResult(
        options, top_k, first, second, skipped, changes, ranked, Change.of(local), accepted, steps
    )


def check(config: LongLlamaConfig, sizes: Sizes) -> None:
    """Refuse what could not be measured, or would not hold once written down.

    Raises:
        ConfigError: the options do not fit the model or the repositories.
    """
    if not config.mem_positionals:
        raise ConfigError(
            "mem_positionals is false: moving memory to other layers would change how the local "
            "context is rotated. Keep the model's mem_layers as they are."
        )
    if sizes.window_tokens + HEADER_TOKENS > config.window:
        raise ConfigError(
            f"windows of {sizes.window_tokens} tokens and their path header do not fit into the "
            f"model's {config.window}; ask for {config.window - HEADER_TOKENS} at most."
        )
    if min(sizes.windows, sizes.window_tokens - 1, sizes.memory_tokens) < 1:
        raise ConfigError("windows, their tokens and memory's must be positive numbers.")


def screen(
    loaded: LoadedModel, subjects: Sequence[Subject], progress: Progress = lambda _: None
) -> dict[Head, Change]:
    """Change of loss with memory in each head alone, over all windows.

    Hidden states of one window at a time are held: layers × tokens × hidden size.
    """
    heads = all_heads(loaded.trainable.config)
    local: list[float] = []
    alone: dict[Head, list[float]] = {head: [] for head in heads}
    pairs = list(_pairs(subjects))
    for number, (window, memory) in enumerate(pairs, start=1):
        progress(f"one head at a time: window {number} of {len(pairs)}")
        stored = capture(loaded, window, (), None, {layer for layer, _ in heads})
        local.append(_mean(stored.losses))
        for head in heads:
            start = head[0], stored.inputs[head[0]]
            alone[head].append(_mean(rerun(loaded, window, {head}, memory, start)))
    return {head: Change.between(local, losses) for head, losses in alone.items()}


class Rerunning:
    """Measures sets of heads by forward passes that restart at the layer of an added head."""

    def __init__(
        self,
        loaded: LoadedModel,
        subjects: Sequence[Subject],
        foreign: Sequence[AllHeads],
        progress: Progress = lambda _: None,
    ) -> None:
        self._loaded = loaded
        self._subjects = subjects
        self._foreign = foreign
        """Memory of another repository for each subject."""
        self._progress = progress

    def local(self) -> list[float]:
        """Return losses without memory."""
        return [self._loss(window, (), None) for window, _ in _pairs(self._subjects)]

    def own(self, accepted: Collection[Head], candidates: Collection[Head]) -> dict[Head, Losses]:
        """See ``Measure.own``."""
        losses: dict[Head, list[float]] = {head: [] for head in candidates}
        layers = {layer for layer, _ in candidates}
        pairs = list(_pairs(self._subjects))
        for number, (window, memory) in enumerate(pairs, start=1):
            self._progress(f"head {len(accepted) + 1}: window {number} of {len(pairs)}")
            stored = capture(self._loaded, window, accepted, memory, layers)
            for head, found in losses.items():
                start = head[0], stored.inputs[head[0]]
                heads = {*accepted, head}
                found.append(_mean(rerun(self._loaded, window, heads, memory, start)))
        return {head: found for head, found in losses.items()}

    def foreign(self, heads: Collection[Head]) -> list[float]:
        """See ``Measure.foreign``."""
        self._progress(f"{len(heads)} heads with other repositories' memory")
        return [
            self._loss(window, heads, memory)
            for subject, memory in zip(self._subjects, self._foreign, strict=True)
            for window in subject.windows
        ]

    def _loss(self, window: Window, heads: Collection[Head], memory: AllHeads | None) -> float:
        return _mean(capture(self._loaded, window, heads, memory, ()).losses)


def foreigners(first: Sequence[Subject], second: Sequence[Subject]) -> list[AllHeads]:
    """Return the next repository's memory for each one of the second set."""
    if len(second) == 1:
        return [first[0].memory]
    return [second[(number + 1) % len(second)].memory for number in range(len(second))]


def _pairs(subjects: Sequence[Subject]) -> Iterator[tuple[Window, AllHeads]]:
    return ((window, subject.memory) for subject in subjects for window in subject.windows)


def _mean(losses: Tensor) -> float:
    """Return mean loss of a window.

    Raises:
        ConfigError: it is not finite, so heads cannot be compared.
    """
    mean = float(losses.double().mean())
    if not math.isfinite(mean):
        raise ConfigError(
            f"the loss of a window is {mean}: the model's numbers overflow. Set mem_dtype to "
            "bfloat16 in its config.json."
        )
    return mean
