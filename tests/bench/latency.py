"""Time to a suggestion through the real server over stdio: cold, warm, and while it indexes.

A workspace of a part of this repository's sources. In the middle of one file some text is missing,
which is typed there, character by character, with a request after each. Cold: the first request of
a server whose memory is complete. Warm: those after it. Indexing: the same requests to a server
that encodes the repository anew. Also bytes per token of memory, in RAM and on disk.

Usage: python tests/bench/latency.py [--model mini] [--requests 30]
"""

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from lsprotocol import types

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Document, Position

SOURCES = Path(__file__).parents[2]
PARTS = ("memory", "generation", "model", "kernels", "tokenizers")
TYPED_FILE = "longllama_code/memory/segments/encoder.py"
MAX_TOKENS = 16


def workspace(folder: Path) -> Path:
    """Return a copy of some packages, so that nothing else of the checkout counts."""
    root = folder / "repository"
    for part in PARTS:
        package = Path("longllama_code", part)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SOURCES / package, root / package, ignore=ignored)
    return root


def settings(model: str, cache: Path) -> dict[str, Any]:
    """Settings of the server under test."""
    return {
        "model": {"path": model},
        "memory": {"cacheDir": str(cache)},
        "completion": {"maxTokens": MAX_TOKENS, "candidates": 1},
    }


async def requests(client: HeadlessClient, path: Path, n: int) -> list[float]:
    """Milliseconds of each request, as ``n`` characters are typed in the middle of a file."""
    text = path.read_text("utf-8")
    middle = len(text) // 2
    before, after = text[:middle], text[middle + n :]
    uri = client.open(path, before + after)
    times: list[float] = []
    for number, character in enumerate(text[middle : middle + n], start=2):
        at = end_of(before)
        place = types.Position(at.line, at.character)
        before += character
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(number, uri),
                [types.TextDocumentContentChangePartial(types.Range(place, place), character)],
            )
        )
        start = time.perf_counter()
        await client.complete(uri, end_of(before))
        times.append(1000 * (time.perf_counter() - start))
    return times


def end_of(text: str) -> Position:
    """Return the end position of a text in the client's encoding."""
    return Document("", "python", 1, text).position(len(text), "utf-16")


async def measure(model: str, n: int, folder: Path) -> dict[str, Any]:
    """Both servers, one after the other."""
    root, cache = workspace(folder), folder / "cache"
    async with headless(root, settings(model, cache)) as client:
        while (await client.status())["phase"] != "indexing":
            await asyncio.sleep(0.05)
        started = time.perf_counter()
        indexing = await requests(client, root / TYPED_FILE, n)
        still_indexing = (await client.status())["phase"] == "indexing"
        status = await client.wait_until_indexed()
        indexed_s = time.perf_counter() - started
        engine = (await client.status())["engine"]
    async with headless(root, settings(model, cache)) as client:
        started = time.perf_counter()
        await client.wait_until_indexed()
        from_disk_s = time.perf_counter() - started
        cold, *warm = await requests(client, root / TYPED_FILE, n + 1)
    tokens = status["files"]["tokens"]
    return {
        "memory_tokens": tokens,
        "cold_ms": cold,
        "warm_ms": quantiles(warm),
        "while_indexing_ms": quantiles(indexing),
        "indexing_went_on": still_indexing,
        "index_s": indexed_s,
        "index_from_disk_s": from_disk_s,
        "ram_bytes_per_token": engine["memory_bytes"] / tokens,
        "disk_bytes_per_token": engine["stored_bytes"] / tokens,
    }


def quantiles(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(times)
    return {"p50": statistics.median(ordered), "p95": ordered[int(0.95 * (len(ordered) - 1))]}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--requests", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(options.model, options.requests, Path(folder)))
    for name, value in result.items():
        print(f"{name:24} {value}")
    print(json.dumps({"latency": result, "model": options.model, "max_tokens": MAX_TOKENS}))


if __name__ == "__main__":
    main()
