"""Time of one token's memory search, by the number of keys read.

The queries are those that the model asks while it writes; each is asked again alone, of every
memory head: clusters, best keys and the mixture of their values. One thread; the formats of memory
and its size do not matter to it as much as the number of keys that are read.

Usage: python tests/bench/search.py [--model mini] [--tokens 100000] [--reads 4096 8192 16384]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import load_placed, with_kernels
from longllama_code.memory.retrieval.row_view import RowView
from longllama_code.paths import cache_root
from longllama_code.protocol import CompletionRequest
from tests.bench.scale import TYPED, opened, remember

Heard = list[tuple[RowView, Tensor]]
ROUNDS = 5


def listen(engine: Engine, n_requests: int) -> Heard:
    """Return every single query of some completions, with whom it was asked."""
    heard: Heard = []
    score = RowView.score

    def hearing(self: RowView, memory_queries: Tensor, top_k: int | None) -> Any:
        n_queries = memory_queries.shape[-2]
        heard.extend((self, memory_queries[..., [i], :].clone()) for i in range(n_queries))
        return score(self, memory_queries, top_k)

    RowView.score = hearing
    try:
        for number in range(n_requests):
            request = CompletionRequest("app/main.py", f"{TYPED}session_{number}:\n    ", "", 24)
            engine.complete(request, lambda: False)
    finally:
        RowView.score = score
    return heard[-300:]


def seconds(heard: Heard, read: int, top_k: int) -> float:
    """Return the time of one token in all memory heads."""
    layers: dict[range, list[float]] = {}
    for view, queries in heard:
        view = RowView(view.rows, view.heads, view.visible, None, read)
        start = time.perf_counter()
        scores, rows = view.score(queries, top_k)
        view.mix(scores.softmax(-1), rows)
        layers.setdefault(view.heads, []).append(time.perf_counter() - start)
    return sum(statistics.median(times) for times in layers.values())


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--reads", type=int, nargs="+", default=[4096, 8192, 16384, 32768])
    parser.add_argument("--cache", type=Path, help="absent, the folder of scale.py")
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = with_kernels(load_placed(options.model))
    engine = opened(loaded, options.cache or cache_root() / "bench")
    remember(engine, options.tokens)
    heard, top_k = listen(engine, 8), loaded.model.config.mem_top_k or 16
    times: dict[int, list[float]] = {read: [] for read in options.reads}
    for _ in range(ROUNDS):
        for read, measured in times.items():
            measured.append(1000 * seconds(heard, read, top_k))
    report = {read: round(statistics.median(measured), 2) for read, measured in times.items()}
    for read, ms in report.items():
        print(f"{read:7} keys read: {ms:.2f} ms a token")
    tokens = engine.status().n_tokens
    print(json.dumps({"search_ms": report, "tokens": tokens, "model": options.model}))


if __name__ == "__main__":
    main()
