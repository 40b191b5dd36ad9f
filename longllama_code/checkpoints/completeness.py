"""Whether a checkpoint has the weights that its configuration asks for."""

from collections.abc import Collection, Sequence
from pathlib import Path

from longllama_code.errors import CheckpointError

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
"""Names of the two weights that share one tensor in a tied model."""


def check_shape(folder: Path, name: str, found: Sequence[int], wanted: Sequence[int]) -> None:
    """Refuse a weight of another shape than the configuration asks for.

    Raises:
        CheckpointError: the shapes differ.
    """
    if (*found,) != (*wanted,):
        raise CheckpointError(
            f"{folder} has {name!r} of shape {(*found,)}, not {(*wanted,)}; its config.json "
            "belongs to another model."
        )


def check_none_missing(folder: Path, names: Collection[str]) -> None:
    """Refuse a checkpoint without some weights.

    Raises:
        CheckpointError: there are names of missing weights.
    """
    if names:
        raise CheckpointError(
            f"{folder} lacks {len(names)} weights, the first of them {min(names)!r}; the "
            "checkpoint is incomplete or its config.json belongs to another model."
        )
