"""Fit of the table of a model's memory heads (``memory/storage/table.py``) to source trees.

Keys are those that memory would hold of the trees; queries are those of the memory heads in
windows of the same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.storage.table import MemoryTable, nearest, round_queries
from longllama_code.model.memory_source import (
    AttentionObserver,
    InputKeys,
    MemorySource,
    MemoryView,
)
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.memories import encode_files

MIN_KEYS_PER_CLUSTER = 8


@dataclass(frozen=True)
class TableFitOptions:
    """Amount of data to fit on."""

    tokens: int = 8_000
    """Tokens of each tree in memory."""
    queries: int = 1_024
    """Tokens of each tree whose queries are used."""
    clusters: int = 8_192
    rounds: int = 12
    """Rounds of k-means."""
    seed: int = 0


def fit_table(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: TableFitOptions,
    progress: Callable[[str], None],
) -> MemoryTable:
    """Return mean, rotation, centroids and spread of every memory head.

    Raises:
        ConfigError: the trees have too few tokens for as many clusters.
    """
    keys, queries = _keys_and_queries(loaded, trees, options, progress)
    n_keys = keys.shape[1]
    if n_keys < MIN_KEYS_PER_CLUSTER * options.clusters:
        raise ConfigError(
            f"{n_keys:,} tokens are too few for {options.clusters:,} clusters: name more source "
            f"trees, take more --tokens of each, or fewer --clusters ({MIN_KEYS_PER_CLUSTER} "
            "tokens each, at least)."
        )
    heads: list[tuple[Tensor, ...]] = []
    for number, (mine, its_queries) in enumerate(zip(keys, queries, strict=True)):
        heads.append(_fit_head(mine, its_queries, options))
        progress(f"memory head {number + 1} of {len(keys)}: {options.clusters:,} clusters")
    return MemoryTable(*(torch.stack(part) for part in zip(*heads, strict=True)))


def _fit_head(
    keys: Tensor, queries: Tensor, options: TableFitOptions
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mean, turn = keys.mean(0), round_queries(queries)
    turned = (keys - mean) @ turn
    generator = torch.Generator().manual_seed(options.seed)
    # As they will be read: centroids are stored in float16.
    centroids = k_means(turned, options.clusters, options.rounds, generator).half().float()
    residuals = turned - centroids[nearest(turned, centroids)]
    return mean, turn, centroids, residuals.std(0)


def k_means(points: Tensor, n: int, rounds: int, generator: torch.Generator) -> Tensor:
    """Return centroids (n, D) of points (N, D): Lloyd's rounds from a sample of the points.

    A cluster that loses all of its points restarts at a random point.
    """
    centroids = points[torch.randperm(len(points), generator=generator)[:n]].clone()
    for _ in range(rounds):
        owner = nearest(points, centroids)
        counts = torch.bincount(owner, minlength=n)
        sums = torch.zeros_like(centroids).index_add_(0, owner, points)
        anew = points[torch.randint(len(points), (n,), generator=generator)]
        means = sums / counts.clamp(min=1)[:, None]
        centroids = torch.where(counts[:, None] > 0, means, anew)
    return centroids


def _keys_and_queries(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: TableFitOptions,
    progress: Callable[[str], None],
) -> tuple[Tensor, Tensor]:
    """Return keys and queries of all memory heads, each float32 (H, n, D)."""
    keys: list[Tensor] = []
    queries: list[Tensor] = []
    for tree in trees:
        files = encode_files(loaded, tree.texts, options.tokens)
        keys += [segment.keys.float() for file in files for segment in file.segments]
        texts = [file.text for file in files]
        queries.append(_queries(loaded, "".join(texts), options.queries))
        progress(f"{tree.name}: {sum(file.n_tokens for file in files):,} tokens")
    return torch.cat(keys, dim=1), torch.cat(queries, dim=1)


@torch.inference_mode()
def _queries(loaded: LoadedModel, text: str, n_tokens: int) -> Tensor:
    """Return the memory heads' queries at the first tokens of a text: (H, queries, D)."""
    recorder = _QueryRecorder()
    ids = loaded.tokenizer.encode(text)[:n_tokens]
    batch = torch.tensor([ids], device=loaded.model.device)
    loaded.model(batch, use_cache=False, last_context_length=len(ids), memory=recorder)
    heads = (torch.cat(recorder.queries[key]) for key in sorted(recorder.queries))
    return torch.stack([*heads]).float().cpu()


class _QueryRecorder(MemorySource):
    """Memory source that records queries and shows nothing."""

    def __init__(self) -> None:
        self.queries: defaultdict[tuple[int, int], list[Tensor]] = defaultdict(list)
        """Queries, each (n, D), by layer and index among its memory heads."""

    def layer_view(self, layer_idx: int, input_keys: InputKeys) -> MemoryView | None:
        return _QueryRecordingView(self, layer_idx)


@dataclass(frozen=True)
class _QueryRecordingView:
    """View of one masked token that records the queries of a layer."""

    recorder: _QueryRecorder
    layer: int
    first_head: int = 0
    observe: AttentionObserver | None = None

    def __len__(self) -> int:
        return 1

    def part(self, heads: slice, queries: slice) -> MemoryView:
        return replace(self, first_head=heads.start)

    def score(self, memory_queries: Tensor, top_k: int | None) -> tuple[Tensor, Tensor | None]:
        for place, queries in enumerate(memory_queries[0], self.first_head):
            self.recorder.queries[self.layer, place].append(queries.flatten(0, 1))
        lowest = torch.finfo(memory_queries.dtype).min
        return memory_queries.new_full((*memory_queries.shape[:-1], 1), lowest), None

    def mix(self, weights: Tensor, indices: Tensor | None) -> Tensor:
        return weights.new_zeros((*weights.shape[:-1], 1))
