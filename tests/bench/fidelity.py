"""Fidelity of compressed and searched memory compared with all keys in floats.

Windows of files that are not in memory, of as many repositories as its tokens need. One model, one
text, several memories: floats of which all are read, then every format with all keys read and with
those of the nearest clusters. For each: the loss, the share of tokens that it would choose alike,
and of what the memory heads see of the queries that the floats got: how many of the best keys
are found, their softmax mass, the relative L2 error of what is mixed from them, and for what share
of the queries it is certain that the best of all were read.

What is encoded is kept in the cache folder. No text is copied from memory here: that is apart.

Usage: python tests/bench/fidelity.py [--model mini] [--tokens 100000] [--windows 24]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from longllama_code.generation.models import LoadedModel, load
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.retrieval.row_view import RowView
from longllama_code.memory.retrieval.search import RowSearch, scaled
from longllama_code.research.datasets.packages import fetch, load_packages
from longllama_code.research.evaluation.lengths.memory_size import SizeOptions, divide
from longllama_code.research.evaluation.losses import Window
from longllama_code.research.evaluation.memories import (
    EncodedFile,
    encode_files,
    memory_of,
    with_segment_cache,
)

MEMORIES = (
    ("int8", None),
    ("int8", 8192),
    ("int8", 32768),
    ("int8-int5", None),
    ("int8-int5", 8192),
    ("int8-int5", 16384),
    ("int8-int5", 32768),
    ("int8-int4", None),
    ("int8-int4", 8192),
    ("int4", None),
    ("int4", 8192),
)
"""Formats, and how many keys are read for a token; None for all."""
TOKENS_EACH = 20_000
QUERIES = 24
"""The last tokens of each window, whose queries are compared."""


def with_format(loaded: LoadedModel, name: str | None, read: int | None) -> LoadedModel:
    """Return the same weights beside a memory of another format."""
    config = loaded.model.config
    config.mem_format, config.mem_read_keys = name, read
    return loaded


def prepare(
    loaded: LoadedModel, n_tokens: int, n_windows: int
) -> tuple[list[Window], list[list[EncodedFile]]]:
    """Return windows, and the files in memory of one package after the other."""
    windows: list[Window] = []
    trees: list[list[EncodedFile]] = []
    packages = load_packages("evaluation")
    n_repositories = -(-n_tokens // TOKENS_EACH)
    each = -(-n_windows // n_repositories)
    for package in packages:
        n_left = n_tokens - sum(file.n_tokens for tree in trees for file in tree)
        if n_left <= 0:
            break
        rng = random.Random(f"fidelity {package}")
        found, texts = divide(loaded, fetch(package), SizeOptions(windows=each), rng)
        if found:
            windows += found
            trees.append(encode_files(loaded, texts, min(TOKENS_EACH, n_left)))
            print(f"{len(windows)} windows, {package}", file=sys.stderr, flush=True)
    return windows[:n_windows], trees


@torch.inference_mode()
def log_probs(loaded: LoadedModel, window: Window, memory: RepositoryMemory) -> Tensor:
    """Return log probabilities of each token of a window after the head: (S, V)."""
    view = CompletionMemory(memory, None)
    ids = torch.tensor([window.ids])
    out = loaded.model(ids, use_cache=False, last_context_length=len(window.ids), memory=view)
    return out.logits[0, window.n_head - 1 : -1].log_softmax(-1)


@torch.inference_mode()
def listen(
    loaded: LoadedModel, window: Window, memory: RepositoryMemory
) -> list[tuple[int, Tensor]]:
    """Yield each memory head's index and its queries in a window, (R, queries, D)."""
    heard: dict[int, Tensor] = {}
    score = RowView.score

    def hearing(self: RowView, memory_queries: Tensor, top_k: int | None) -> Any:
        for head, queries in zip(self.heads, memory_queries[0], strict=True):
            heard[head] = queries[:, -QUERIES:].clone()  # block after block: the last one stays
        return score(self, memory_queries, top_k)

    RowView.score = hearing
    try:
        log_probs(loaded, window, memory)
    finally:
        RowView.score = score
    return [*heard.items()]


@dataclass(frozen=True)
class Right:
    """A head's queries, and their best keys among all keys in floats."""

    head: int
    queries: Tensor
    rows: Tensor
    weights: Tensor
    mixed: Tensor


@dataclass(frozen=True)
class Compared:
    """Result of a head in another memory."""

    recall: float
    mass: float
    error: float


def found_in(
    memory: RepositoryMemory, head: int, queries: Tensor, read: int | None, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, their weights, and what is mixed of them."""
    search = RowSearch(memory.rows, head, None, read)
    scores, rows = search.best(queries, k)
    weights = scores.softmax(-1)
    return rows, weights, (weights[..., None] * search.values(rows)).sum(-2)


def compare(
    memory: RepositoryMemory, asked: Sequence[Right], read: int | None, k: int
) -> Iterator[Compared]:
    """Return the results of each head and window."""
    for right in asked:
        rows, _, mixed = found_in(memory, right.head, right.queries, read, k)
        hit = (right.rows[..., :, None] == rows[..., None, :]).any(-1)
        error = (mixed - right.mixed).norm(dim=-1) / right.mixed.norm(dim=-1)
        mass = (right.weights * hit).sum(-1)
        yield Compared(float(hit.float().mean()), float(mass.mean()), float(error.mean()))


def reach(memory: RepositoryMemory, head: int) -> Tensor:
    """Return the maximum distance of a key from the centroid of each cluster: (C,)."""
    form, rows = memory.rows.record_format, memory.rows
    everything = rows.positions()
    left = form.key_codes(rows.records.rows, everything, head) * torch.from_numpy(
        form.spaces[head].step
    )
    clusters = form.clusters_of(rows.records.rows, everything, head)
    zeros = torch.zeros(form.n_clusters)
    return zeros.scatter_reduce(0, clusters, left.norm(dim=1), "amax")


def certified(
    memory: RepositoryMemory, asked: Sequence[Right], read: int | None, k: int
) -> float | None:
    """The share of queries of which it is certain that no key that was not read is among the best.

    That is where no cluster that was not read can hold one, by its centroid's score and by how far
    its keys lie from that at most (Cauchy and Schwarz).
    """
    form = memory.rows.record_format
    if form.table is None or read is None:
        return None
    reaches = [reach(memory, head) for head in range(form.n_heads)]
    lists, found = memory.rows.lists, list[float]()
    assert lists is not None
    for right in asked:
        search = RowSearch(memory.rows, right.head, None, read)
        least = search.best(right.queries, k)[0][..., -1]
        queries = scaled(right.queries)
        ask = form.encode_queries(queries.flatten(0, 1), right.head)
        assert ask.clusters is not None
        turned = queries @ form.table.back[right.head].T
        near = ask.clusters.unflatten(0, queries.shape[:2])
        common = torch.as_tensor(ask.common).unflatten(0, queries.shape[:2])
        most = near + common + turned.norm(dim=-1, keepdim=True) * reaches[right.head]
        order = near.amax(0).argsort(dim=-1, descending=True)
        held = lists.counts(right.head)[order].cumsum(-1)
        unread = torch.zeros_like(order, dtype=torch.bool).scatter(1, order, held >= read)
        unread &= lists.counts(right.head) > 0
        found.append(float((most.masked_fill(~unread, -1e30).amax(-1) <= least).float().mean()))
    return sum(found) / len(found)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--windows", type=int, default=24)
    options = parser.parse_args()
    loaded = with_segment_cache(load(options.model))
    windows, trees = prepare(loaded, options.tokens, options.windows)
    k = loaded.model.config.mem_top_k or 16
    exact = memory_of(with_format(loaded, None, None), *trees)
    wanted = [log_probs(loaded, window, exact) for window in windows]
    asked = [
        Right(head, queries, *found_in(exact, head, queries, None, k))
        for window in windows
        for head, queries in listen(loaded, window, exact)
    ]
    report = [result("floats", None, exact, wanted, wanted, [], windows)]
    for name, read in MEMORIES:
        memory = memory_of(with_format(loaded, name, read), *trees)
        found = [log_probs(loaded, window, memory) for window in windows]
        heads = [*compare(memory, asked, read, k)]
        line = result(name, read, memory, found, wanted, heads, windows)
        report.append(line | {"certified": certified(memory, asked, read, k)})
        print(json.dumps(report[-1]), flush=True)
    print(json.dumps({"tokens": exact.rows.n_tokens, "memories": report}))


def result(
    name: str,
    read: int | None,
    memory: RepositoryMemory,
    found: Sequence[Tensor],
    wanted: Sequence[Tensor],
    heads: Sequence[Compared],
    windows: Sequence[Window],
) -> dict[str, Any]:
    """Return one line of the report."""
    targets = [torch.tensor(window.ids[window.n_head :]) for window in windows]
    loss, right = (
        torch.cat([-f.gather(1, t[:, None])[:, 0] for f, t in zip(which, targets, strict=True)])
        for which in (found, wanted)
    )
    alike = torch.cat([f.argmax(1) == w.argmax(1) for f, w in zip(found, wanted, strict=True)])
    numbers = {
        "recall": [one.recall for one in heads],
        "mass": [one.mass for one in heads],
        "error": [one.error for one in heads],
    }
    return {
        "format": name,
        "read": read,
        "bytes_per_token": memory.rows.record_format.n_bytes,
        "loss": round(float(loss.mean()), 4),
        "loss_difference": round(float((loss - right).mean()), 5),
        "agreement": round(float(alike.float().mean()), 5),
        "tokens": len(loss),
        **{n: round(sum(v) / len(v), 4) for n, v in numbers.items() if v},
    }


if __name__ == "__main__":
    main()
