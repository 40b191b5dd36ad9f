"""Low-rank updates of a model's matrices, as one file (LoRA).

A safetensors file with two tensors for each matrix, ``NAME.lora_A`` (r, in) and ``NAME.lora_B``
(out, r), under the names of ``LongLlamaForCausalLM``. The matrix becomes W + scale · B A. Metadata
name the model that the updates belong to, and the layout of definitions that they were made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from longllama_code.checkpoints.saving import save_tensors
from longllama_code.errors import CheckpointError

MAX_BYTES = 40_000_000
"""Most bytes of a file, which is shipped with the program."""
FIRST, SECOND = ".lora_A", ".lora_B"


@dataclass(frozen=True)
class LowRankUpdates:
    """Updates of some matrices of one model.

    Attributes:
        base: identity of the model that they belong to, the sha256 of its weights.
        layout: version of the layout of definitions that they were made for.
        scale: factor of each product.
        tensors: both factors of each matrix.
    """

    base: str
    layout: int
    scale: float
    tensors: Mapping[str, NDArray[np.float16]]

    def names(self) -> set[str]:
        """Return the names of the matrices that are changed, with ``.weight``."""
        return {f"{each.removesuffix(FIRST)}.weight" for each in self.tensors if FIRST in each}

    def updated(self, name: str, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a matrix (out, in) with its update; the same one if it has none.

        Raises:
            CheckpointError: the update has another shape.
        """
        stem = name.removesuffix(".weight")
        if stem + FIRST not in self.tensors:
            return matrix
        first, second = (self.tensors[stem + end].astype(np.float32) for end in (FIRST, SECOND))
        if (second.shape[0], first.shape[1]) != matrix.shape:
            raise CheckpointError(
                f"the update of {name} has shape {(second.shape[0], first.shape[1])}, the matrix "
                f"{matrix.shape}; it was made for another model. Name that one."
            )
        return matrix + np.float32(self.scale) * (second @ first)


def save_updates(path: Path, updates: LowRankUpdates) -> None:
    """Write updates to a file, at once.

    Raises:
        CheckpointError: the file would be too large, or cannot be written.
    """
    n_bytes = sum(each.nbytes for each in updates.tensors.values())
    if n_bytes > MAX_BYTES:
        raise CheckpointError(
            f"the updates have {n_bytes:,} bytes, more than {MAX_BYTES:,}; choose a lower rank."
        )
    fields = {
        "base": updates.base,
        "layout": str(updates.layout),
        "scale": repr(updates.scale),
    }
    partial = path.with_suffix(".partial")
    save_tensors(partial, updates.tensors, fields)
    partial.replace(path)


def load_updates(path: Path) -> LowRankUpdates:
    """Return the updates of a file.

    Raises:
        CheckpointError: the file is damaged, or holds no updates.
    """
    try:
        with safe_open(path, "np") as file:
            fields = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        base, layout, scale = fields["base"], int(fields["layout"]), float(fields["scale"])
        _check(tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as updates of a model ({error!r}); make it again with "
            "`longllama tune`."
        ) from error
    return LowRankUpdates(base, layout, scale, tensors)


def _check(tensors: Mapping[str, NDArray[np.float16]]) -> None:
    """Refuse factors that do not belong together.

    Raises:
        ValueError: saying which.
    """
    stems = {name.removesuffix(FIRST).removesuffix(SECOND) for name in tensors}
    if {stem + end for stem in stems for end in (FIRST, SECOND)} != {*tensors} or not stems:
        raise ValueError("not two factors for each matrix")
    for stem in stems:
        first, second = tensors[stem + FIRST], tensors[stem + SECOND]
        if first.ndim != 2 or second.ndim != 2 or first.shape[0] != second.shape[1]:
            raise ValueError(f"the factors of {stem} do not fit together")
