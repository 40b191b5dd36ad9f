"""Memory of all processes with a second window, with one shared engine and with two.

Two real servers over stdio on the two packages of this repository, up to as many tokens of each in
memory; each was asked for a suggestion. PSS counts what processes share in parts, RSS as often as
it is shared; both of servers and engines, without this process. Linux alone.

Usage: python tests/bench/shared_engine.py [--model mini] [--tokens 10000]
"""

import argparse
import asyncio
import json
import os
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Document, Position

SOURCES = Path(__file__).parents[2]
PACKAGES = ("lsp_server", "longllama_code/memory")
Bytes = dict[str, float]


def settings(model: str, cache: Path, n_tokens: int, *, shared: bool) -> dict[str, Any]:
    """Settings of the servers under test."""
    return {
        "model": {"path": model, "threads": 1},
        "memory": {"cacheDir": str(cache), "maxTokens": n_tokens},
        "engine": {"shared": shared, "idleMs": 0},
    }


async def opened(client: HeadlessClient) -> tuple[int, int]:
    """Use a window as a person would; its server's process and its engine's."""
    await client.wait_until_indexed()
    text = "def remember(path, text):\n    "
    uri = client.open(client.root / "new.py", text)
    end = Document(uri, "python", 1, text).position(len(text), "utf-32")
    await client.complete(uri, Position(end.line, end.character))
    status = await client.status()
    assert client.process is not None
    return client.process.pid, status["engine_pid"]


def used(pids: set[int]) -> Bytes:
    """Megabytes of processes, added up."""
    totals = {"Pss": 0.0, "Rss": 0.0, "Pss_Anon": 0.0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in totals:
                totals[name] += int(rest.split()[0]) / 1000
    return totals


async def windows(folder: Path, roots: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    """Return one window, then a second one beside it, which shares the engine or does not."""
    found: dict[str, Any] = {}
    for shared in (True, False):
        given = settings(options.model, folder / "cache", options.tokens, shared=shared)
        async with AsyncExitStack() as stack:
            pids: set[int] = set()
            for number, root in enumerate(roots, start=1):
                began = time.perf_counter()
                client = await stack.enter_async_context(headless(root, given))
                pids.update(await opened(client))
                kind = "shared" if shared else "own"
                row = {**used(pids), "s": time.perf_counter() - began, "processes": len(pids)}
                found[f"{number} {kind}"] = row
    return found


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--tokens", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_RUNTIME_DIR"] = name  # no engine of anybody else's
        roots = [folder / Path(package).name for package in PACKAGES]
        for package, root in zip(PACKAGES, roots, strict=True):
            shutil.copytree(SOURCES / package, root, ignore=shutil.ignore_patterns("__pycache__"))
        found = asyncio.run(windows(folder, roots, options))
    for name, row in found.items():
        print(
            f"{name:10} {row['processes']} processes   PSS {row['Pss']:7.0f} MB   RSS"
            f" {row['Rss']:7.0f} MB   ready {row['s']:6.1f} s"
        )
    for kind in ("shared", "own"):
        ratios = (found[f"2 {kind}"][of] / found[f"1 {kind}"][of] for of in ("Pss", "Rss"))
        print(f"two windows, {kind}: PSS {next(ratios):.3f}, RSS {next(ratios):.3f} of one")
    print(json.dumps({"shared_engine": found, "tokens": options.tokens, "model": options.model}))


if __name__ == "__main__":
    main()
