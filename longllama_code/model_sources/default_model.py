"""The model that is used if none is named: a code model, or a small one if memory is short."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from longllama_code.checkpoints.ram import available_bytes

AUTO = "auto"
"""Name that stands for the default model."""
USUAL, SMALL = "coder", "mini"
LEAST_FREE_BYTES = 4 << 30
"""Free memory that the usual model needs, with room for an editor and a browser."""


@dataclass(frozen=True)
class Chosen:
    """A model's name, and why it is not the usual one; empty if it is, or if it was named."""

    name: str
    reason: str = ""


def chosen_model(name: str) -> Chosen:
    """Return the model that a name stands for.

    Args:
        name: of a model; ``auto`` for the default.
    """
    return _default() if name == AUTO else Chosen(name)


@lru_cache(maxsize=1)
def _default() -> Chosen:
    """Choose once: what starts later on, the model itself too, must not change the choice."""
    return choose(available_bytes())


def choose(free_bytes: int | None) -> Chosen:
    """Return the default model for an amount of free memory; None if that is unknown."""
    if free_bytes is None or free_bytes >= LEAST_FREE_BYTES:
        return Chosen(USUAL)
    return Chosen(
        SMALL,
        f"the small model {SMALL} was chosen, as {free_bytes / 2**30:.1f} GiB of memory are free; "
        f"with {LEAST_FREE_BYTES >> 30} GiB it is {USUAL} (longllama.model.path names another)",
    )
