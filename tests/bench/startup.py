"""Time from starting the server to its answer to ``initialize``, and the same with `tiny` ready.

Usage: python tests/bench/startup.py [--runs 10]
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from lsp_server.clients.headless import headless


async def one_run(root: Path) -> dict[str, float]:
    """Milliseconds until ``initialize`` was answered and until the memory was complete."""
    settings = {"model": {"path": "tiny"}, "memory": {"cacheDir": str(root / ".cache")}}
    start = time.perf_counter()
    async with headless(root, settings) as client:
        initialized = time.perf_counter()
        await client.wait_until_indexed()
        indexed = time.perf_counter()
    return {"initialize_ms": 1000 * (initialized - start), "ready_ms": 1000 * (indexed - start)}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.py").write_text("def f():\n    return 1\n")
        runs = [asyncio.run(one_run(Path(folder))) for _ in range(options.runs)]
    result = {
        name: {
            "p50": statistics.median(run[name] for run in runs),
            "worst": max(run[name] for run in runs),
        }
        for name in runs[0]
    }
    for name, row in result.items():
        print(f"{name:16} p50 {row['p50']:7.0f} ms   worst {row['worst']:7.0f} ms")
    print(json.dumps({"startup": result, "runs": options.runs}))


if __name__ == "__main__":
    main()
