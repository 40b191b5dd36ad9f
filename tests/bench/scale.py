"""Memory of 10k, 100k and 1M tokens of real code, side by side.

The text is that of published packages, as training and evaluation fetch them. What is encoded stays
in the cache folder: the first run of a million tokens takes as long as encoding them does, later
ones read them back, and say how long that took.

For each size: tokens and bytes in memory and on disk; the time to remember all files from a warm
store and to complete for the first time; and, taking turns between the sizes, the time of a decoded
token, and in it that of memory's search and mixture in all memory heads.

Usage: python tests/bench/scale.py [--model mini] [--sizes 10000 100000 1000000] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel, load_placed, with_kernels
from longllama_code.memory.retrieval.row_view import RowView
from longllama_code.paths import cache_root
from longllama_code.protocol import CompletionRequest
from longllama_code.research.datasets.packages import fetch, load_packages

ROUNDS = 12
TOKENS = 12
TYPED = "def main():\n    options = parse_arguments()\n    with open_session(options) as "


def files() -> Iterator[tuple[str, str]]:
    """Paths and texts, package by package."""
    for package in (*load_packages("evaluation"), *load_packages("training")):
        tree = fetch(package)
        for path, text in tree.texts.items():
            yield f"{tree.name}/{path}", text


def resident_mb() -> dict[str, float]:
    """Return this process's own memory and its pages of mapped files, in MB; Linux only."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {name: int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")}


class Timed:
    """Adds up the time that memory takes in attention."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in ("score", "mix"):
            setattr(RowView, name, self._timed(getattr(RowView, name)))

    def _timed(self, method: Any) -> Any:
        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            answer = method(*arguments)
            self.seconds += time.perf_counter() - start
            return answer

        return timed


def remember(engine: Engine, n_tokens: int) -> dict[str, float]:
    """Return files until memory has so many tokens; what that took."""
    counts = {"encoded": 0, "loaded": 0, "seconds": 0.0}
    held = 0
    for path, text in files():
        start = time.perf_counter()
        work = engine.remember(path, text)
        while True:
            try:
                next(work)
            except StopIteration as stop:
                done = stop.value
                break
        counts["seconds"] += time.perf_counter() - start
        counts["encoded"] += done.n_encoded
        counts["loaded"] += done.n_loaded
        held += done.n_tokens
        if done.n_encoded:
            print(f"\r{held:,} tokens", end="", file=sys.stderr, flush=True)
        if held >= n_tokens:
            break
    return counts


def decode(engine: Engine, timed: Timed, number: int) -> tuple[float, float]:
    """Milliseconds of a decoded token, and of memory's part in it."""
    prefix = TYPED + f"session_{number}:\n        "
    spent: list[float] = []

    def should_stop() -> bool:
        spent.append(timed.seconds)
        return False

    result = engine.complete(CompletionRequest("app/main.py", prefix, "", TOKENS), should_stop)
    timings = result.timings
    # It is asked once after each token, so the first pass is left out.
    decoding = spent[-timings.generated_tokens :]
    n_passes = max(1, timings.passes - 1)
    return timings.decode_ms / timings.passes, 1000 * (decoding[-1] - decoding[0]) / n_passes


def opened(loaded: LoadedModel, cache: Path) -> Engine:
    """Return an engine on the store that all sizes share."""
    folder = cache / "memory" / loaded.fingerprint
    return Engine.create(loaded, loaded.store(folder))


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="absent, a folder for benchmarks in the cache")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cache = options.cache or cache_root() / "bench"
    report: dict[int, dict[str, Any]] = {}
    loaded = with_kernels(load_placed(options.model))
    largest = opened(loaded, cache)
    remember(largest, max(options.sizes))  # so that the store is warm for what is timed
    largest.close()
    timed, engines = Timed(), dict[int, Engine]()
    for size in options.sizes:
        before = resident_mb()
        engines[size] = opened(loaded, cache)
        counts = remember(engines[size], size)
        start = time.perf_counter()
        decode(engines[size], timed, -1)
        first = time.perf_counter() - start
        status, after = engines[size].status(), resident_mb()
        report[size] = {
            "tokens": status.n_tokens,
            **counts,
            "first_completion_seconds": first,
            "memory_bytes_per_token": status.memory_bytes / status.n_tokens,
            "own_mb": after["RssAnon"] - before["RssAnon"],
            "mapped_mb": after["RssFile"] - before["RssFile"],
        }
        print(json.dumps(report[size]), flush=True)
    samples: dict[int, list[tuple[float, float]]] = {size: [] for size in options.sizes}
    for number in range(ROUNDS):
        for size, engine in engines.items():
            samples[size].append(decode(engine, timed, number))
    for size, measured in samples.items():
        token, memory = (statistics.median(part) for part in zip(*measured, strict=True))
        report[size] |= {"decode_ms": token, "memory_ms": memory}
    store = engines[options.sizes[0]].status()
    disk = sum(path.stat().st_blocks * 512 for path in cache.rglob("*") if path.is_file())
    print(json.dumps({"sizes": report, "disk_bytes": disk, "stored": store.stored_segments}))


if __name__ == "__main__":
    main()
