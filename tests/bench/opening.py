"""Tokens read and time of a file's first request and the next one, through the real server.

The workspace is a folder of the user's, taken into memory first. Then a file is opened and left
alone for some seconds, in which the server reads the definitions that its prompts begin with. A
suggestion is asked for in its middle, one more key is typed, and one is asked for again; then all
of it once more with a server that was started anew. Printed for each request: tokens of its
prompt, how many of them were read before, tokens of definitions, and times.

Usage: python tests/bench/opening.py [ROOT FILE] [--model coder-0.5b] [--wait-s 5] [--cache FOLDER]
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from lsprotocol import types

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Document

CHECKOUT = Path(__file__).parents[2]
FILE = CHECKOUT / "lsp_server" / "suggestions" / "suggester.py"
Json = dict[str, Any]


async def asked(client: HeadlessClient, uri: str, before: str) -> Json:
    """Return the measurements of a request at the end of a text."""
    position = Document("", "python", 1, before).position(len(before), "utf-32")
    suggestion = await client.complete(uri, position)
    explained = await client.explain() or {}
    timings = explained["timings"]
    return {
        "suggestion": suggestion,
        "prompt_tokens": timings["prompt_tokens"],
        "reused_tokens": timings["reused_tokens"],
        "definition_tokens": sum(each["n_tokens"] for each in explained["definitions"]),
        "definitions": len(explained["definitions"]),
        "prefill_ms": round(timings["prefill_ms"]),
        "decode_ms": round(timings["decode_ms"]),
    }


async def measured(options: argparse.Namespace, cache: Path, start: str) -> list[Json]:
    """Both requests of one server."""
    settings = {
        "model": {"path": options.model},
        "memory": {"cacheDir": str(cache)},
        "completion": {"timeoutMs": 120_000, "candidates": 1},
    }
    text = options.file.read_text("utf-8")
    middle = text.index("\n", len(text) // 2) + 1
    line_end = text.index("\n", middle)
    before, after = text[: line_end - 4], text[line_end:]
    async with headless(options.root, settings) as client:
        await client.wait_until_indexed()
        uri = client.open(options.file, before + after)
        await asyncio.sleep(options.wait_s)
        first = await asked(client, uri, before)
        before = text[: line_end - 3]
        identifier = types.VersionedTextDocumentIdentifier(2, uri)
        whole = types.TextDocumentContentChangeWholeDocument(before + after)
        client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [whole]))
        second = await asked(client, uri, before)
    return [
        {"server": start, "request": "first", **first},
        {"server": start, "request": "one more key", **second},
    ]


def main() -> None:
    """Measure and print; a line of JSON for each request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, nargs="?", default=CHECKOUT, metavar="ROOT")
    parser.add_argument("file", type=Path, nargs="?", default=FILE, metavar="FILE")
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--wait-s", type=float, default=5.0)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        for start in ("new", "started again"):
            for row in asyncio.run(measured(options, options.cache or Path(name), start)):
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
