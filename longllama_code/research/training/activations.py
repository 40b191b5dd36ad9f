"""Cache on disk of the activations of frozen layers, for rows that are repeated.

    <folder>/<pass>.safetensors   input of the lowest trained layer, float16 (B, S, E)

A file is used only if it is undamaged and of the same model, layer and rows; any other is
written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from longllama_code.errors import ConfigError
from longllama_code.research.datasets.rows import Row

TENSOR = "hidden"


class ActivationCache:
    """Activations of one run.

    Args:
        folder: folder with one file for each pass.
        origin: identity of the model and layer: equal ones give equal activations for equal rows.
    """

    def __init__(self, folder: Path, origin: str) -> None:
        self._folder, self._origin = folder, origin
        folder.mkdir(parents=True, exist_ok=True)

    def cached(self, number: int, rows: Sequence[Row], order: Sequence[int]) -> CachedActivations:
        """Return the place of one pass.

        Args:
            number: of the pass that has these rows first.
            rows: as the corpus gives them.
            order: row i of the batch is ``rows[order[i]]``.
        """
        identity = _digest(json.dumps([self._origin, [row.ids for row in rows]]).encode())
        return CachedActivations(self._folder / f"{number}.safetensors", identity, tuple(order))


@dataclass(frozen=True)
class CachedActivations:
    """Cache entry of one batch's activations; rows have the batch's order."""

    path: Path
    identity: str
    """Hash of the model, the layer and the rows."""
    order: tuple[int, ...]

    def get(self, shape: Sequence[int]) -> Tensor | None:
        """Return the activations, float16 (B, S, E); None if they must be computed."""
        try:
            with safe_open(self.path, "pt") as file:
                found, metadata = file.get_tensor(TENSOR), file.metadata()
        except (OSError, SafetensorError):
            return None
        fits = found.dtype == torch.float16 and found.shape == torch.Size(shape)
        if not fits or metadata != self._metadata(found):
            return None
        return found[list(self.order)]

    def put(self, hidden: Tensor) -> Tensor:
        """Keep (B, S, E); return it as it will be read, so that a resumed run has the same curve.

        Raises:
            ConfigError: a value is too large for float16.
        """
        half = hidden.detach().half()
        if not bool(half.isfinite().all()):
            raise ConfigError(
                "keep_activations is true, and an activation of this model is no float16 number: "
                f"the largest is {float(hidden.abs().max()):.3g}; set keep_activations=false."
            )
        rows = torch.empty_like(half)
        rows[list(self.order)] = half
        rows = rows.cpu().contiguous()
        partial = self.path.with_suffix(".partial")
        save_file({TENSOR: rows}, partial, self._metadata(rows))
        partial.replace(self.path)
        return half

    def _metadata(self, rows: Tensor) -> dict[str, str]:
        return {"identity": self.identity, "checksum": _digest(rows.numpy().tobytes())}


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
