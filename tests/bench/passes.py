"""What a pass of the model takes, and how fast it reads its weights, beside a plain sum of memory.

Passes of 1, 4, 8 and 16 tokens behind 500 tokens of local context, without memory, one after the
other in every round, as the engine makes them on a CPU. Every pass reads all weights once: their
bytes by its time are to be compared with what a sum over as many numbers as no cache holds reads.

Usage: python tests/bench/passes.py [--model mini] [--rounds 40]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from longllama_code.generation.models import load_placed, with_kernels
from longllama_code.model.cache import LongLlamaCache

SIZES = (1, 4, 8, 16)
CONTEXT_TOKENS = 500
SUMMED_BYTES = 512 << 20


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = with_kernels(load_placed(options.model))
    kernels = loaded.kernels
    if kernels is None:
        raise SystemExit(f"there are no kernels for {options.model} here.")
    ids = torch.randint(300, 20_000, (CONTEXT_TOKENS + max(SIZES),)).tolist()
    numbers = torch.ones(SUMMED_BYTES // 4)

    cache = LongLlamaCache(loaded.model.config, spills=False)
    kernels.run(ids[:CONTEXT_TOKENS], cache, None)

    def one_pass(n: int) -> float:
        took = seconds(lambda: kernels.run(ids[-n:], cache, None))
        cache.truncate(CONTEXT_TOKENS)
        return took

    times: dict[int, list[float]] = {n: [] for n in SIZES}
    sums: list[float] = []
    for _ in range(options.rounds):
        for n, measured in times.items():
            measured.append(one_pass(n))
        sums.append(seconds(numbers.sum))
    passes = {n: 1000 * statistics.median(measured) for n, measured in times.items()}
    read = kernels.nbytes / statistics.median(times[1]) / 1e9
    summed = SUMMED_BYTES / statistics.median(sums) / 1e9
    for n, ms in passes.items():
        print(f"{n:3} tokens {ms:6.1f} ms")
    print(f"{kernels.nbytes:,} bytes of weights")
    print(f"read at {read:.1f} GB/s, of {summed:.1f} ({read / summed:.0%})")
    print(json.dumps({"pass_ms": passes, "weights_gb_s": read, "sum_gb_s": summed}))


if __name__ == "__main__":
    main()
