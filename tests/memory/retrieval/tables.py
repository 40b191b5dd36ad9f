"""Keys as tiny might have them, and a table of their heads."""

import torch
from torch import Tensor

from longllama_code.memory.storage.table import MemoryTable, nearest, round_queries
from longllama_code.research.evaluation.fitting.table_fit import k_means

H, D = 3, 16
N_CLUSTERS = 32


def keys_like(n: int, seed: int = 0, n_heads: int = H) -> Tensor:
    """Keys (H, n, D) with a large mean, about directions that differ in length."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.linspace(0.2, 3, D)
    return torch.randn(n_heads, n, D, generator=generator) * lengths + 5


def queries_like(n: int, seed: int = 0) -> Tensor:
    """Queries (n, D)."""
    generator = torch.Generator().manual_seed(seed + 999)
    return torch.randn(n, D, generator=generator) * torch.linspace(2, 0.5, D)


def table_of(n_heads: int = H) -> MemoryTable:
    """A table that was fitted to such keys and queries."""
    generator = torch.Generator().manual_seed(1)
    keys, turn = keys_like(2000, 77, n_heads), round_queries(queries_like(2000))
    parts: list[tuple[Tensor, ...]] = []
    for mine in keys:
        turned = (mine - mine.mean(0)) @ turn
        centroids = k_means(turned, N_CLUSTERS, 5, generator)
        spread = (turned - centroids[nearest(turned, centroids)]).std(0)
        parts.append((mine.mean(0), turn, centroids, spread))
    return MemoryTable(*(torch.stack(part) for part in zip(*parts, strict=True)))
