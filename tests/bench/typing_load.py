"""Keystrokes in a file of 20,000 lines while the repository is indexed: how late the server is.

A keystroke is a ``textDocument/didChange``, followed by a request that the server answers by itself
(``longllama/explain``); the time until that answer holds the change, whatever the server does
meanwhile, and both ways of the messages. The same request alone is measured beside it.

Usage: python tests/bench/typing_load.py [--model tiny] [--keystrokes 2000]
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.raw_client import RawClient

N_LINES = 20_000
PAUSE_S = 0.01


def workspace(root: Path, n_files: int) -> None:
    """Files that take the model a while."""
    body = "    value = first * second + third\n" * 12
    for number in range(n_files):
        text = "\n".join(f"def f{number}_{part}(first, second):\n{body}" for part in range(6))
        (root / f"module{number}.py").write_text(text)


async def measure(model: str, n_keystrokes: int, n_files: int, folder: Path) -> dict[str, Any]:
    """Type until enough; the times while it indexed."""
    root = folder / "ws"
    root.mkdir()
    workspace(root, n_files)
    settings = {
        "model": {"path": model, "threads": 1},
        "memory": {"cacheDir": str(folder / "cache"), "maxTokens": 100_000_000},
        "indexing": {"pauseOnBattery": False},
    }
    client = RawClient(root, settings)
    await client.start(folder / "log")
    large = root / "large.py"
    text = "".join(f"value_{number} = {number}\n" for number in range(N_LINES))
    item = {"uri": large.as_uri(), "languageId": "python", "version": 1, "text": text}
    client.notify("textDocument/didOpen", {"textDocument": item})
    while client.phase != "indexing":
        await client.ask("longllama/explain")
    keystrokes: list[float] = []
    alone: list[float] = []
    for number in range(n_keystrokes):
        start = time.perf_counter()
        await client.ask("longllama/explain")
        between = time.perf_counter()
        place = {"line": N_LINES // 2 + number % 50, "character": 3}
        client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": item["uri"], "version": number + 2},
                "contentChanges": [{"range": {"start": place, "end": place}, "text": "x"}],
            },
        )
        sent = time.perf_counter()
        await client.ask("longllama/explain")
        keystrokes.append(1000 * (time.perf_counter() - sent))
        alone.append(1000 * (between - start))
        await asyncio.sleep(PAUSE_S)
    went_on = client.phase == "indexing"
    await client.end()
    return {
        "keystroke_ms": quantiles(keystrokes),
        "request_alone_ms": quantiles(alone),
        "indexing_went_on": went_on,
    }


def quantiles(times: list[float]) -> dict[str, float]:
    """Median, 99th percentile and worst."""
    ordered = sorted(times)
    n = len(ordered) - 1
    return {"p50": ordered[n // 2], "p99": ordered[int(0.99 * n)], "worst": ordered[-1]}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--keystrokes", type=int, default=2000)
    parser.add_argument("--files", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(
            measure(options.model, options.keystrokes, options.files, Path(folder))
        )
    for name, value in result.items():
        print(f"{name:20} {value}")
    print(json.dumps({"typing_load": result, "model": options.model}))


if __name__ == "__main__":
    main()
