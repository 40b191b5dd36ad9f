"""A workspace of very many files: time to ``initialize``, to look at all, and the server's memory.

The engine answers from a script, so that only the server is measured. Of the larger workspace few
files fit into memory (``memory.maxTokens``), as every one would cost a message to the engine; of
the smaller one all do.

Usage: python tests/bench/many_files.py [--files 10000 200000]
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from lsp_server.clients.headless import headless
from tests.bench.raw_client import scripted

FILES_IN_FOLDER = 500
ALL_IN_MEMORY = 20_000


def workspace(root: Path, n_files: int) -> None:
    """Small files of Python in folders of a few levels."""
    for number in range(n_files):
        folder = number // FILES_IN_FOLDER
        path = root / f"package{folder % 20}" / f"part{folder}" / f"module{number}.py"
        if number % FILES_IN_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_text(f"def function{number}(x):\n    return x + {number}\n")


async def measure(n_files: int, folder: Path) -> dict[str, Any]:
    """Return one workspace."""
    root = folder / f"{n_files}"
    root.mkdir()
    workspace(root, n_files)
    settings = scripted(folder)
    settings["memory"]["maxTokens"] = 10_000_000 if n_files <= ALL_IN_MEMORY else 30_000
    start = time.perf_counter()
    async with headless(root, settings) as client:
        initialized = time.perf_counter()
        process = client.process
        assert process is not None
        server = psutil.Process(process.pid)
        status = await client.wait_until_indexed()
        settled = time.perf_counter()
        memory_mb = server.memory_info().rss / 1e6
        asked = time.perf_counter()
        await client.status()
        answered = time.perf_counter()
    return {
        "initialize_ms": 1000 * (initialized - start),
        "settled_s": settled - start,
        "server_mb": memory_mb,
        "status_ms": 1000 * (answered - asked),
        "in_memory": status["files"]["in_memory"],
        "left_out": status["files"]["left_out"],
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 200_000])
    options = parser.parse_args()
    result: dict[int, dict[str, Any]] = {}
    for n_files in options.files:
        with tempfile.TemporaryDirectory() as folder:
            result[n_files] = asyncio.run(measure(n_files, Path(folder)))
        values = "   ".join(f"{name} {value:,.0f}" for name, value in result[n_files].items())
        print(f"{n_files:>8,} files   {values}", flush=True)
    print(json.dumps({"many_files": result}))


if __name__ == "__main__":
    main()
