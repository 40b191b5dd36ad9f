"""What is known of a model's memory heads before any repository is: one table for each model.

Keys of memory are far from round: their mean is large, and queries look along few directions. So a
key is taken off its head's mean and turned into a space where queries are round, in which distance
says how far scores can be apart. There it is known by its cluster and by what is left, and that
residual is small enough for 8 bits. Queries are turned the other way; scores stay what they were.
Sources: "Accelerating Large-Scale Inference with Anisotropic Vector Quantization" (arXiv
1908.10396), which weighs errors by what queries see of them; inverted files with residuals as in
"Product Quantization for Nearest Neighbor Search" (Jégou et al., 2011).
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
"""Held at once: 8 MB, which allocators keep; larger blocks go back to the system every time."""
RIDGE = 1e-3
"""Of the mean variance of queries: added, so that directions nobody asks along stay finite."""


@dataclass(frozen=True)
class MemoryTable:
    """Means, turns, centroids and spreads of all memory heads, ``H`` of them, in float32."""

    mean: Tensor
    """(H, D), of the keys as stored."""
    turn: Tensor
    """(H, D, D): a turned key is ``(key - mean) @ turn``."""
    centroids: Tensor
    """(H, C, D), of turned keys."""
    spread: Tensor
    """(H, D): the standard deviation of what is left, by channel."""

    @cached_property
    def back(self) -> Tensor:
        """(H, D, D): undoes ``turn``."""
        return torch.linalg.inv(self.turn)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.mean.device

    @property
    def n_clusters(self) -> int:
        """Clusters of a head."""
        return self.centroids.shape[1]

    def turned(self, keys: Tensor) -> Tensor:
        """Keys (H, n, D) in the space of the centroids."""
        return (keys.float() - self.mean[:, None]) @ self.turn

    def clusters(self, turned: Tensor) -> Tensor:
        """The nearest centroid of each turned key (H, n, D): int64 (H, n)."""
        heads = zip(turned, self.centroids, strict=True)
        return torch.stack([nearest(keys, centroids) for keys, centroids in heads])

    def unturned(self, turned: Tensor) -> Tensor:
        """Keys (H, n, D) as they are stored elsewhere."""
        return turned @ self.back + self.mean[:, None]

    def to(self, device: torch.device) -> MemoryTable:
        """The table on a device."""
        fields = self.__dataclass_fields__
        return MemoryTable(**{name: getattr(self, name).to(device) for name in fields})

    def save(self, folder: Path) -> Path:
        """Write the table into a model's folder: its path. Centroids are kept as float16."""
        parts = {name: getattr(self, name).contiguous() for name in self.__dataclass_fields__}
        parts["centroids"] = parts["centroids"].half()
        save_file(parts, folder / TABLE_FILE)
        return folder / TABLE_FILE

    @classmethod
    def load(cls, folder: Path) -> MemoryTable | None:
        """The table of a model's folder; None where there is none.

        Raises:
            CheckpointError: it cannot be read.
        """
        path = folder / TABLE_FILE
        if not path.exists():
            return None
        try:
            parts = load_file(path)
            return cls(**{name: parts[name].float() for name in cls.__dataclass_fields__})
        except (OSError, KeyError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} is no table of memory heads ({error}); delete it, and make it anew with "
                "`longllama table`."
            ) from error


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Indices of the nearest centroids (C, D) of points (n, D): int64 (n,)."""
    half_norms = centroids.square().sum(1) / -2
    n_rows = max(1, MAX_DISTANCES // len(centroids))
    parts = (torch.addmm(half_norms, part, centroids.T) for part in points.split(n_rows))
    found = [part.argmax(1) for part in parts]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)


def round_queries(queries: Tensor) -> Tensor:
    """The turn (D, D) of keys after which queries (n, D) vary alike in all directions.

    With C = E[q qᵀ], keys are multiplied by C^½: the squared distance of two keys is then the mean
    squared difference of their scores.
    """
    second = queries.T @ queries / len(queries)
    ridge = RIDGE * second.diagonal().mean()
    values, vectors = torch.linalg.eigh(second + ridge * torch.eye(len(second)))
    return vectors @ torch.diag(values.sqrt()) @ vectors.T
