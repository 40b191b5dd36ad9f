"""Choice of memory heads: ranked on one set of windows, chosen on another.

Pure functions of losses, which ``Measure`` provides.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal, Protocol

Head = tuple[int, int]
"""A layer and one of its key-value heads."""
Losses = Sequence[float]
"""Mean loss of each window, in nats per token, always in the same order."""


class Measure(Protocol):
    """Measures the losses of the windows that decide."""

    def own(self, accepted: Collection[Head], candidates: Collection[Head]) -> dict[Head, Losses]:
        """Return losses with the window's own repository in the accepted heads and a candidate."""
        ...

    def foreign(self, heads: Collection[Head]) -> Losses:
        """Return losses with another repository in these heads."""
        ...


@dataclass(frozen=True)
class Change:
    """A mean over windows and its standard error (None for a single window)."""

    mean: float
    error: float | None

    @classmethod
    def between(cls, before: Losses, after: Losses) -> Change:
        """Return the change of the loss, paired by window; negative is better."""
        return cls.of([b - a for a, b in zip(before, after, strict=True)])

    @classmethod
    def of(cls, values: Losses) -> Change:
        """Return the mean change of values, one for each window."""
        error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
        return cls(fmean(values), error)


@dataclass(frozen=True)
class Rules:
    """Rules for accepting a head."""

    candidates: int = 12
    """Number of best-ranked heads that are tried."""
    max_heads: int = 6
    min_gain: float = 0.003
    """Minimum decrease of the loss for one more head, in nats per token."""
    guard: float = 0.05
    """Maximum increase of the loss with another repository's memory against none, in nats."""


@dataclass(frozen=True)
class Step:
    """A head that was tried, and the result."""

    head: Head
    verdict: Literal["accepted", "too little gain", "distracted"]
    gain: Change
    """Change of the loss against the heads accepted so far."""
    own: Change
    """Change of the loss against no memory."""
    foreign: Change | None
    """Change with another repository's memory against none; None if not measured."""


def rank(changes: Mapping[Head, Change]) -> list[Head]:
    """Return heads by change of loss, the best first; equals by layer and head."""
    return sorted(changes, key=lambda head: (changes[head].mean, head))


def choose(
    ranked: Sequence[Head], local: Losses, measure: Measure, rules: Rules
) -> tuple[list[Head], list[Step]]:
    """Add the best next head for as long as it helps enough and distracts little enough.

    Args:
        ranked: all heads, the best first.
        local: losses without memory.
        measure: losses with it.
        rules: when to take a head, and when to stop.

    Returns:
        The heads accepted, in that order, and every step.
    """
    left, accepted, steps = list(ranked[: rules.candidates]), list[Head](), list[Step]()
    current = local
    while left and len(accepted) < rules.max_heads:
        losses = measure.own(accepted, left)
        for head in sorted(left, key=lambda head: fmean(losses[head])):
            step = _try(head, accepted, (local, current, losses[head]), measure, rules)
            steps.append(step)
            if step.verdict == "too little gain":  # those ranked lower will not do better
                return accepted, steps
            left.remove(head)  # a head that distracts now is not tried again with more heads
            if step.verdict == "accepted":
                accepted.append(head)
                current = losses[head]
                break
    return accepted, steps


def _try(
    head: Head,
    accepted: list[Head],
    losses: tuple[Losses, Losses, Losses],
    measure: Measure,
    rules: Rules,
) -> Step:
    """Judge a head by losses without memory, with the accepted heads, and with it as well."""
    local, current, new = losses
    gain, own = Change.between(current, new), Change.between(local, new)
    if -gain.mean <= rules.min_gain:
        return Step(head, "too little gain", gain, own, None)
    foreign = Change.between(local, measure.foreign([*accepted, head]))
    verdict = "accepted" if foreign.mean <= rules.guard else "distracted"
    return Step(head, verdict, gain, own, foreign)
