"""Side by side with llama.cpp on the very same GGUF file: tokens a second, and memory.

Each side is a process of its own that has the model loaded; they measure in turn, so that what else
the machine does meets both. A prompt has 512 tokens; then 64 more are decoded, one by one.

llama.cpp may live in another environment (it is built from source: minutes):
``python -m venv llama && llama/bin/pip install llama-cpp-python``.

Usage: python tests/bench/same_file.py model.gguf [--llama-python llama/bin/python]
[--threads 1 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT_TOKENS, DECODED_TOKENS = 512, 64
MEASURES = ("prompt", "decoding")
SIDES = ("ours", "llama.cpp")
IDS = [100 + 7 * index % 5000 for index in range(PROMPT_TOKENS)]

Take = Callable[[list[int]], None]
"""Takes in tokens behind those before; the logits after the last are known then."""


def ours(gguf: str, threads: int) -> tuple[Callable[[], None], Take]:
    """Functions that reset, and that read tokens."""
    import torch

    from longllama_code.generation.models import load_for_engine
    from longllama_code.model.caches import LongLlamaCache

    torch.set_num_threads(threads)
    loaded = load_for_engine(gguf)
    kernels, cache = loaded.kernels, LongLlamaCache(loaded.model.config, spills=False)
    assert kernels is not None, "there are no kernels for this model"
    assert kernels.kind == "gguf", f"kernels run it in {kernels.kind}, not in the file's blocks"

    def start() -> None:
        cache.truncate(0)

    def take(ids: list[int]) -> None:
        kernels.logits(kernels.run(ids, cache, None)[-1])

    return start, take


def llama_cpp(gguf: str, threads: int) -> tuple[Callable[[], None], Take]:
    """Return the same of llama.cpp."""
    from llama_cpp import Llama  # pyright: ignore[reportMissingImports]

    both = {"n_threads": threads, "n_threads_batch": threads}
    llama: Any = Llama(gguf, n_ctx=1024, n_batch=PROMPT_TOKENS, verbose=False, **both)
    return llama.reset, llama.eval


def serve(side: str, gguf: str, threads: int) -> None:
    """Measure whenever a line comes in; answer with a line of JSON."""
    start, take = (ours if side == "ours" else llama_cpp)(gguf, threads)
    for _ in sys.stdin:
        start()
        found = {"prompt": seconds(lambda: take(IDS), PROMPT_TOKENS)}
        found["decoding"] = seconds(lambda: [take([id]) for id in IDS[:DECODED_TOKENS]], 64)
        print(json.dumps({**found, "memory": memory()}), flush=True)


def seconds(work: Callable[[], object], n_tokens: int) -> dict[str, float]:
    """Return tokens a second by the clock, and by what the processors did for it."""
    clock, used = time.perf_counter(), time.process_time()
    work()
    clock, used = time.perf_counter() - clock, time.process_time() - used
    return {"by clock": n_tokens / clock, "by processor": n_tokens / used}


def memory() -> dict[str, int]:
    """Resident megabytes: its own, and of files that are mapped."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    named = {line.split(":")[0]: line.split() for line in lines}
    keys = (("own", "RssAnon"), ("mapped", "RssFile"))
    return {name: int(named[key][1]) // 1024 for name, key in keys if key in named}


class Side:
    """A process that measures."""

    def __init__(self, side: str, python: str, gguf: str, threads: int) -> None:
        command = [python, __file__, gguf, "--side", side, "--threads", str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def measure(self) -> dict[str, dict[str, float]]:
        """Return one round."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()


def compare(options: argparse.Namespace, threads: int) -> None:
    """Measure with so many threads, and print."""
    pythons = {"ours": sys.executable, "llama.cpp": options.llama_python}
    sides = {name: Side(name, pythons[name], options.gguf, threads) for name in SIDES}
    rounds = [{name: side.measure() for name, side in sides.items()} for _ in range(options.rounds)]
    for side in sides.values():
        side.end()
    print(f"{threads} thread{'s' if threads > 1 else ''}")
    for measure in MEASURES:
        for clock in ("by clock", "by processor"):
            each = {name: [r[name][measure][clock] for r in rounds[1:]] for name in SIDES}
            mine, other = (statistics.median(each[name]) for name in SIDES)
            ratios = [a / b for a, b in zip(*(each[name] for name in SIDES), strict=True)]
            print(
                f"  {measure:9} {clock:12} ours {mine:7.2f}  llama.cpp {other:7.2f} tokens/s"
                f"  ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            )
    print("  memory in MB:", {name: rounds[-1][name]["memory"] for name in SIDES}, flush=True)


def main() -> None:
    """Compare, or be a side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf")
    parser.add_argument("--llama-python", default=sys.executable, help="that has llama_cpp")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--rounds", type=int, default=5, help="and one before, to warm up")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.side, options.gguf, *options.threads)
        return
    options.rounds += 1
    for threads in dict.fromkeys(options.threads):
        compare(options, threads)


if __name__ == "__main__":
    main()
