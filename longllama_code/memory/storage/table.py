"""Table of a model's memory heads, from which keys are compressed: one table for each model.

Keys are far from isotropic: their mean is large, and queries vary along few directions. So the
head's mean is subtracted from a key, and a linear map ("turn") takes it to a space where queries
vary alike in all directions; there, the distance of two keys tells how far their scores differ. The
key is stored as its cluster and the residual to the centroid, which fits in 8 bits. Queries are
multiplied by the inverse map, so scores do not change. Sources: "Accelerating Large-Scale Inference
with Anisotropic Vector Quantization" (arXiv 1908.10396), which weighs errors by their effect on
scores; inverted files with residuals as in "Product Quantization for Nearest Neighbor Search"
(Jégou et al., 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from longllama_code.errors import CheckpointError
from longllama_code.paths import TABLE_FILE

MAX_DISTANCES = 1 << 21
"""Distances computed at once: 8 MB, which allocators reuse; larger blocks are freed each time."""
RIDGE = 1e-3
"""Share of the queries' mean variance that is added, so that the map can be inverted."""


@dataclass(frozen=True)
class MemoryTable:
    """Parameters of all memory heads, ``H`` of them, in float32."""

    mean: Tensor
    """Mean key, (H, D)."""
    turn: Tensor
    """Linear map (H, D, D): a turned key is ``(key - mean) @ turn``."""
    centroids: Tensor
    """Centroids of turned keys, (H, C, D)."""
    spread: Tensor
    """Standard deviation of the residuals in each channel, (H, D)."""

    @cached_property
    def back(self) -> Tensor:
        """Inverse of ``turn``, (H, D, D)."""
        return torch.linalg.inv(self.turn)

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.mean.device

    @property
    def n_clusters(self) -> int:
        """Number of clusters of a head."""
        return self.centroids.shape[1]

    def turned(self, keys: Tensor) -> Tensor:
        """Return keys (H, n, D) in the space of the centroids."""
        return (keys.float() - self.mean[:, None]) @ self.turn

    def clusters(self, turned: Tensor) -> Tensor:
        """Return the nearest centroid of each turned key (H, n, D), int64 (H, n)."""
        heads = zip(turned, self.centroids, strict=True)
        return torch.stack([nearest(keys, centroids) for keys, centroids in heads])

    def to(self, device: torch.device) -> MemoryTable:
        """Return the table on a device."""
        fields = self.__dataclass_fields__
        return MemoryTable(**{name: getattr(self, name).to(device) for name in fields})

    def save(self, folder: Path) -> Path:
        """Write the table into a model's folder, with centroids in float16; return its path."""
        parts = {name: getattr(self, name).contiguous() for name in self.__dataclass_fields__}
        parts["centroids"] = parts["centroids"].half()
        save_file(parts, folder / TABLE_FILE)
        return folder / TABLE_FILE

    @classmethod
    def load(cls, folder: Path) -> MemoryTable | None:
        """Read the table of a model's folder; return None if there is none.

        Raises:
            CheckpointError: the file cannot be read.
        """
        path = folder / TABLE_FILE
        if not path.exists():
            return None
        try:
            parts = load_file(path)
            return cls(**{name: parts[name].float() for name in cls.__dataclass_fields__})
        except (OSError, KeyError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} is no table of memory heads ({error}); delete it, and create it with "
                "`longllama table`."
            ) from error


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Return the indices of the nearest centroids (C, D) of points (n, D), int64 (n,)."""
    half_norms = centroids.square().sum(1) / -2
    n_rows = max(1, MAX_DISTANCES // len(centroids))
    parts = (torch.addmm(half_norms, part, centroids.T) for part in points.split(n_rows))
    found = [part.argmax(1) for part in parts]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)


def round_queries(queries: Tensor) -> Tensor:
    """Return the linear map (D, D) of keys under which queries (n, D) vary alike in all directions.

    With C = E[q qᵀ], keys are multiplied by C^½. The squared distance of two keys is then the mean
    squared difference of their scores.
    """
    second = queries.T @ queries / len(queries)
    ridge = RIDGE * second.diagonal().mean()
    values, vectors = torch.linalg.eigh(second + ridge * torch.eye(len(second)))
    return vectors @ torch.diag(values.sqrt()) @ vectors.T
