"""Which heads get memory: ranked by one set of windows, chosen by another.

Pure functions of losses; who measures them is behind ``Measure``.
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
"""Mean loss of each window, in nats per token; the same windows in the same order everywhere."""


class Measure(Protocol):
    """Losses of the windows that decide."""

    def own(self, accepted: Collection[Head], candidates: Collection[Head]) -> dict[Head, Losses]:
        """With each window's own repository in the accepted heads and one candidate more."""
        ...

    def foreign(self, heads: Collection[Head]) -> Losses:
        """With another repository in these heads."""
        ...


@dataclass(frozen=True)
class Change:
    """A mean over windows, and its standard error (None for a single window)."""

    mean: float
    error: float | None

    @classmethod
    def between(cls, before: Losses, after: Losses) -> Change:
        """Of the loss, window by window: below zero, it fell."""
        return cls.of([b - a for a, b in zip(before, after, strict=True)])

    @classmethod
    def of(cls, values: Losses) -> Change:
        """Of some values, one for each window."""
        error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
        return cls(fmean(values), error)


@dataclass(frozen=True)
class Rules:
    """When a head is taken."""

    candidates: int = 12
    """How many of the best-ranked heads are tried together."""
    max_heads: int = 6
    min_gain: float = 0.003
    """What the loss must fall by for one more head, in nats per token."""
    guard: float = 0.05
    """What the loss with another repository's memory may rise by against no memory, in nats."""


@dataclass(frozen=True)
class Step:
    """One head that was tried last, and what became of it."""

    head: Head
    verdict: Literal["accepted", "too little gain", "distracted"]
    gain: Change
    """What the loss changed by against the heads accepted so far."""
    own: Change
    """What the loss changes by in all, against no memory."""
    foreign: Change | None
    """The same with another repository's memory; None where it did not matter any more."""


def rank(changes: Mapping[Head, Change]) -> list[Head]:
    """Heads by change of loss, the best first; equals by layer and head."""
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
            if step.verdict == "too little gain":  # nor will any of those behind it do better
                return accepted, steps
            left.remove(head)  # what distracts now is not asked again beside more heads
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
