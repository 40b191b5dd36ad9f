"""Scores of definitions: a base score for the reason of the choice, less penalties.

Set by hand, and checked by ``tests/bench/definition_recall.py``.
"""

from dataclasses import dataclass

RECEIVER, CALLED, UNUSED, TYPED, IMPORTED, BASE, MODULE = 100, 90, 75, 66, 60, 50, 40
"""Score of a definition by the reason for which it is chosen."""
RECENCY = 10
"""Extra score of the name that was used last."""
MEMBER, PRIVATE, INHERITED, SPECIAL = 12, 5, 1, 40
"""Penalties of members relative to their class."""
GUESSED, OVERRIDDEN, NAMESAKE, TESTED = 80, 70, 45, 25
LENGTH = 0.02
"""Penalty for each character of a definition."""
UNUSED_ELSEWHERE = 8
"""Penalty of a definition that no other file uses."""


@dataclass(frozen=True, slots=True)
class Penalties:
    """Penalties of members relative to their class, by the reason why the class is chosen."""

    member: float
    static: float
    constructor: float


IMPORTED_PENALTIES = Penalties(MEMBER, MEMBER - 3, 0.5)
CALLED_PENALTIES = Penalties(3 * MEMBER, 3 * MEMBER, 0.5)
VALUE_PENALTIES = Penalties(5, 8, 8)
CLASS_PENALTIES = Penalties(5, 2, 8)
