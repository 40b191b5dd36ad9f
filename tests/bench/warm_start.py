"""A server's start over a repository that is in the store already.

The repository is the text of published packages, as `scale.py` takes them. The first start encodes
what the store has not, and is not timed; every later one is: from the start of the process to the
model loaded, from there to all of the repository in memory, and from there to an answer.

Usage: python tests/bench/warm_start.py [--model mini] [--tokens 100000] [--runs 3] [--cache DIR]
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from longllama_code.paths import cache_root
from lsp_server.clients.headless import headless
from lsp_server.documents.document import Position
from tests.bench.scale import TYPED, files

CHARS_A_TOKEN = 3.6
"""Characters per token of `mini` in these packages."""


def write(root: Path, n_tokens: int) -> None:
    """Files of about so many tokens."""
    n_chars = 0
    for name, text in files():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        n_chars += len(text)
        if n_chars >= CHARS_A_TOKEN * n_tokens:
            return


async def start(root: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return one start, until the first answer."""
    settings = {
        "model": {"path": options.model, "threads": 1},
        "memory": {"cacheDir": str(options.cache), "maxTokens": 2 * options.tokens},
        "engine": {"shared": False},
    }
    ready = asyncio.get_running_loop().create_future()

    def on_status(status: dict[str, Any]) -> None:
        if status["phase"] in ("indexing", "ready") and not ready.done():
            ready.set_result(time.perf_counter())

    began = time.perf_counter()
    async with headless(root, settings, on_status) as client:
        status = await client.wait_until_indexed()
        indexed = time.perf_counter()
        uri = client.open(root / "main.py", TYPED)
        text = await client.complete(uri, Position(TYPED.count("\n"), len(TYPED.split("\n")[-1])))
        answered = time.perf_counter()
    loaded = await ready
    return {
        "model_s": loaded - began,
        "indexed_s": indexed - loaded,
        "answer_s": answered - indexed,
        "files": status["files"]["in_memory"],
        "tokens": status["files"]["tokens"],
        "characters": len(text),
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=cache_root() / "bench")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, options.tokens)
        asyncio.run(start(root, options))
        runs = [asyncio.run(start(root, options)) for _ in range(options.runs)]
    result = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    for name, value in result.items():
        print(f"{name:12} {value:.2f}")
    print(json.dumps({"warm_start": result, "model": options.model}))


if __name__ == "__main__":
    main()
