"""Processor time of the server and its engine in the seconds after the last key.

A workspace with git's rules, of a part of this repository. A file is opened, one key typed, and a
suggestion shown; what follows it and the rest of the repository are read. Then nothing happens for
some seconds, in which processor time and wake-ups are counted: first those right after the last key
(with what is read ahead of the next one), then those after all has come to rest.

Usage: python tests/bench/energy.py [--model coder-0.5b] [--seconds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from latency import TYPED_FILE, end_of, workspace

from lsp_server.clients.headless import HeadlessClient, headless

Json = dict[str, Any]
TIMEOUT_MS = 600_000


def processes(client: HeadlessClient) -> list[psutil.Process]:
    """Return the server and its engine."""
    assert client.process is not None
    server = psutil.Process(client.process.pid)
    return [server, *server.children(recursive=True)]


def used(every: list[psutil.Process]) -> tuple[float, int]:
    """Return seconds of processor time so far, and how often a thread woke up."""
    seconds = n_waits = 0
    for process in every:
        times = process.cpu_times()
        seconds += times.user + times.system
        for task in Path(f"/proc/{process.pid}/task").glob("*/status"):
            lines = dict(line.split(":", 1) for line in task.read_text().splitlines())
            n_waits += int(lines["voluntary_ctxt_switches"])
    return seconds, n_waits


async def counted(client: HeadlessClient, seconds: float) -> Json:
    """Return processor time and wake-ups of some seconds in which the client does nothing."""
    every = processes(client)
    began, before = time.perf_counter(), used(every)
    await asyncio.sleep(seconds)
    after, passed = used(every), time.perf_counter() - began
    return {
        "cpu_percent": round(100 * (after[0] - before[0]) / passed, 3),
        "wake_ups_per_second": round((after[1] - before[1]) / passed, 2),
    }


async def at_rest(client: HeadlessClient, seconds: float = 3.0) -> None:
    """Wait until a few seconds have passed in which next to nothing was done."""
    while (await counted(client, seconds))["cpu_percent"] > 2:
        pass


async def measured(options: argparse.Namespace, folder: Path) -> Json:
    """Type a key in a server and let it be."""
    root = workspace(folder)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    settings = {
        "model": {"path": options.model},
        "memory": {"cacheDir": str(folder / "cache")},
        "completion": {"candidates": 1, "timeoutMs": TIMEOUT_MS},
    }
    async with headless(root, settings) as client:
        await client.wait_until_indexed()
        path = root / TYPED_FILE
        text = path.read_text("utf-8")
        middle = text.index("\n", len(text) // 2)
        uri = client.open(path, text)
        await client.complete(uri, end_of(text[:middle]))
        await at_rest(client)
        client.change(uri, 2, text[:middle] + " " + text[middle:])
        await client.complete(uri, end_of(text[:middle] + " "))
        last_key = await counted(client, options.seconds)
        await at_rest(client)
        return {"after_the_last_key": last_key, "at_rest": await counted(client, options.seconds)}


def main() -> None:
    """Measure and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        print(json.dumps(asyncio.run(measured(options, Path(name)))))


if __name__ == "__main__":
    main()
