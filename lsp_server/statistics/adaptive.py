"""A threshold of confidence that a user's own statistics suggest.

The rule is described in docs/statistics.md, and its laws are tested.
"""

from collections.abc import Iterable

from lsp_server.statistics.record import Record

STEP = 5
"""Width of a range of confidence, and step of the threshold, in percent."""
MAX_FLOOR = 90
"""Greatest threshold, in percent."""
N_NEEDED = 200
"""Number of suggestions that were judged, below which nothing is changed."""
WORTH = 9
"""Number of wrong suggestions that a right one makes up for: one in ten has to be right."""
HEAD_START = 20
"""Wrong suggestions that each range of confidence is forgiven, so that chance decides nothing."""
WINDOW_S = 28 * 86_400.0
"""Age up to which statistics count. What is no longer shown, as it was too unsure, is thus tried
again after this time."""

RIGHT = frozenset({"accepted", "partly_accepted", "typed_out"})


def adapted_floor(records: Iterable[Record], model: int) -> int:
    """Return the confidence, in percent, that suggestions while typing must have at least.

    Zero if too little is known; a suggestion that was left counts neither way.

    Args:
        records: suggestions that were shown lately.
        model: hash of the model's name; only its suggestions count.
    """
    gains: dict[int, int] = {}
    n_judged = 0
    for record in records:
        is_right = record.outcome in RIGHT
        if _counts(record, model) and (is_right or _is_wrong(record)):
            n_judged += 1
            step = min(max(record.confidence, 0), 100) // STEP
            gains[step] = gains.get(step, HEAD_START) + (WORTH if is_right else -1)
    if n_judged < N_NEEDED:
        return 0
    floors = range(0, MAX_FLOOR + 1, STEP)
    return max(floors, key=lambda floor: (_gain(gains, floor), -floor))


def _counts(record: Record, model: int) -> bool:
    """Whether a suggestion of a model was shown while typing, as far as clients tell."""
    return record.model == model and record.is_automatic and record.client == "editor"


def _is_wrong(record: Record) -> bool:
    return record.outcome == "typed_over"


def _gain(gains: dict[int, int], floor: int) -> int:
    """Return what is gained by all suggestions that a threshold lets through."""
    return sum(gain for step, gain in gains.items() if step * STEP >= floor)
