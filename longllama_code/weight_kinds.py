"""Kinds of rounded weights, and the suffix of a model's name that asks for one.

Nothing here needs torch, so the language server can read names as the engine does.
"""

from typing import Literal, get_args

WeightKind = Literal["int8", "int4"]
"""Number of bits that each weight of a matrix is rounded to."""
WEIGHT_KINDS: tuple[WeightKind, ...] = get_args(WeightKind)


def split_weights(name: str) -> tuple[str, WeightKind | None]:
    """Return a model's name without its suffix, and the kind of weights that the suffix asks for.

    Example: ``code-7b:int8`` is ``("code-7b", "int8")``; ``ollama:q:1.5b`` has no such suffix.
    """
    for kind in WEIGHT_KINDS:
        model = name.removesuffix(f":{kind}")
        if model != name and model:
            return model, kind
    return name, None
