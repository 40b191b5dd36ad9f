"""Time from starting the server to its answer to ``initialize``, and until its engine is ready.

Then the parts of the engine's start, in the order in which its process does them: seconds by the
clock, of the processor, and of the thread that imports and loads, which other threads help with the
weights. A busy machine stretches the latter less. The first run warms the disk's cache.

Usage: python tests/bench/startup.py [--model tiny] [--runs 10]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lsp_server.clients.headless import headless

PARTS = """
import json, resource, sys, time

def part(name, before=[time.perf_counter(), time.process_time(), time.thread_time()]):
    now = time.perf_counter(), time.process_time(), time.thread_time()
    parts[name] = [late - early for late, early in zip(now, before)]
    before[:] = now

parts = {}
from lsp_server.engine.process import main
from lsp_server.engine.process.collector import collector_off
part("process")
with collector_off():
    from longllama_code.engine_options import EngineOptions
    from longllama_code.generation import ahead
    ahead.begin(EngineOptions(sys.argv[1]))
    part("kernels, numba")
    from lsp_server.engine.process import serving
    part("protocol")
    import torch
    part("torch")
    from longllama_code.generation import engine, models
    part("our other modules")
    loaded = models.load_for_engine(sys.argv[1])
    part("weights, tokenizer")
    engine.warm_up(loaded)
    part("a completion, afterwards")
for name in ("transformers", "torch._dynamo", "torch._decomp"):
    if name in sys.modules:
        print(f"{name} was imported", file=sys.stderr)
print(json.dumps([parts, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


AFTERWARDS = "a completion, afterwards"
"""Part that the engine does when it is ready, and nobody waits."""


async def one_run(root: Path, model: str) -> dict[str, float]:
    """Milliseconds until ``initialize`` was answered, and until the memory was complete."""
    settings = {"model": {"path": model}, "memory": {"cacheDir": str(root / ".cache")}}
    start = time.perf_counter()
    async with headless(root, settings) as client:
        initialized = time.perf_counter()
        await client.wait_until_indexed()
        indexed = time.perf_counter()
    return {"initialize_ms": 1000 * (initialized - start), "ready_ms": 1000 * (indexed - start)}


def engine_parts(model: str, runs: int) -> tuple[dict[str, list[float]], float]:
    """Median seconds of each part, as above, and the peak in MB."""
    found: list[tuple[dict[str, list[float]], float]] = []
    for _ in range(runs):
        command = [sys.executable, "-c", PARTS, model]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
        found.append(json.loads(done.stdout))
    names = found[0][0]
    parts = {
        name: [statistics.median(run[0][name][kind] for run in found) for kind in range(3)]
        for name in names
    }
    return parts, max(peak for _, peak in found)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.py").write_text("def f():\n    return 1\n")
        runs = [asyncio.run(one_run(Path(folder), options.model)) for _ in range(options.runs)]
    result = {
        name: {
            "p50": statistics.median(run[name] for run in runs),
            "worst": max(run[name] for run in runs),
        }
        for name in runs[0]
    }
    for name, row in result.items():
        print(f"{name:20} p50 {row['p50']:7.0f} ms   worst {row['worst']:7.0f} ms")
    parts, peak = engine_parts(options.model, options.runs)
    until_ready = [part for name, part in parts.items() if name != AFTERWARDS]
    together = [sum(part[kind] for part in until_ready) for kind in range(3)]
    for name, (clock, processor, own) in [*parts.items(), ("the engine, until ready", together)]:
        print(f"{name:24} {clock:7.2f} s   processor {processor:7.2f} s   loader {own:7.2f} s")
    print(f"{'peak of its memory':20} {peak:7.0f} MB")
    told = {"startup": result, "parts": parts, "peak_mb": peak}
    print(json.dumps({**told, "model": options.model, "runs": options.runs}))


if __name__ == "__main__":
    main()
