"""A model of the family at full size behind the real server over stdio, with random weights.

For each kind of weights: a small workspace is taken into memory, a suggestion asked for, a file
changed on disk, another suggestion asked for; then the server is started again, whose memory comes
from the store. Also the peak of resident memory, of the server and of its engine.

Needs 14 GB of disk for code-7b; what it wrote is removed in the end, unless --keep.

Usage: python tests/bench/family_server.py [--model code-7b] [--kinds int8 int4] [--keep]
"""

import argparse
import asyncio
import json
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Document
from tests.bench.family import EDITED, TEXT, default_root, write

OPEN_TEXT = "from app.settings import read_settings\n\nsettings = read_"
MAX_TOKENS = 4
LOOK_EVERY_S = 0.2


def settings(model: str, cache: Path) -> dict[str, Any]:
    """Those of the server under test: an answer may take as long as it takes."""
    return {
        "model": {"path": model},
        "memory": {"cacheDir": str(cache)},
        "completion": {"maxTokens": MAX_TOKENS, "candidates": 1, "timeoutMs": 600_000},
        "engine": {"shared": False},
    }


class Clock:
    """Seconds of what is done one after the other."""

    def __init__(self) -> None:
        self.report: dict[str, Any] = {}

    @contextmanager
    def timed(self, name: str) -> Generator[None]:
        """Note how long it took."""
        start = time.perf_counter()
        yield
        self.report[name] = round(time.perf_counter() - start, 2)


async def peak_gib() -> float:
    """Until cancelled: the most that this process's children held at a time."""
    most = 0
    try:
        while True:
            held = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            most = max(most, held)
            await asyncio.sleep(LOOK_EVERY_S)
    except asyncio.CancelledError:
        return most / 2**30


async def in_memory(client: HeadlessClient, n_files: int) -> dict[str, Any]:
    """Return the status, once all files are in memory."""
    while True:
        status = await client.wait_until_indexed()
        if status["files"]["in_memory"] == n_files:
            return status
        await asyncio.sleep(0.1)


async def session(root: Path, given: dict[str, Any], *, edits: bool) -> dict[str, Any]:
    """Return one run of the server."""
    clock, watching = Clock(), asyncio.create_task(peak_gib())
    main, library = root / "app/main.py", root / "app/settings.py"
    start = time.perf_counter()
    async with headless(root, given) as client:
        uri = client.open(main, OPEN_TEXT)
        place = Document("", "python", 1, OPEN_TEXT).position(len(OPEN_TEXT), "utf-16")
        await in_memory(client, 2)
        clock.report["ready_and_indexed"] = round(time.perf_counter() - start, 2)
        with clock.timed("first_suggestion"):
            clock.report["text"] = await client.complete(uri, place)
        if edits:
            library.write_text(EDITED, "utf-8")
            with clock.timed("edit_in_memory"):
                before = (await client.status())["files"]["segments_encoded"]
                while (await in_memory(client, 2))["files"]["segments_encoded"] == before:
                    await asyncio.sleep(0.1)
            with clock.timed("suggestion_after_edit"):
                clock.report["text_after_edit"] = await client.complete(uri, place)
        files = (await client.status())["files"]
        clock.report |= {"encoded": files["segments_encoded"], "loaded": files["segments_loaded"]}
    watching.cancel()
    return clock.report | {"peak_gib": round(await watching, 2)}


async def measure(folder: Path, kind: str, scratch: Path) -> dict[str, Any]:
    """Both runs of one kind of weights."""
    root, given = scratch / "workspace", settings(f"{folder}:{kind}", scratch / "cache")
    (root / "app").mkdir(parents=True)
    (root / "app/settings.py").write_text(TEXT, "utf-8")
    (root / "app/main.py").write_text("import sys\n", "utf-8")
    first = await session(root, given, edits=True)
    return {"first": first, "again": await session(root, given, edits=False)}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="code-7b")
    parser.add_argument("--kinds", nargs="+", default=["int8", "int4"])
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    root = default_root()
    write(root / options.model, options.model)
    report: dict[str, Any] = {}
    for kind in options.kinds:
        scratch = root / f"server-{kind}"
        shutil.rmtree(scratch, ignore_errors=True)
        report[kind] = asyncio.run(measure(root / options.model, kind, scratch))
        print(kind, json.dumps(report[kind], indent=1), flush=True)
    if not options.keep:
        shutil.rmtree(root)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
