"""The aims of speed, and where we are: one table, in one run of at most ten minutes.

- Prompt and decoding: tokens a second of one thread, ours and llama.cpp's own benchmark on the same
  GGUF file, in turn; ours also with 100,000 tokens and more of a repository in memory, whose names
  are copied. Needs llama.cpp's program `llama-bench`.
- Places, over the real server: the first suggestion where the cursor rested half a second, where
  nobody was before, back at an earlier place, and after one more key; from whole prompts, and where
  a short context may answer first.
- Energy: processor time in the ten seconds after the last key, and once all rests.

Each measurement is kept in a file and is not repeated for the same commit and model; --again does.
What is compared with llama.cpp's server, and what is typed by a whole session, takes longer:
`longllama-lsp bench crosscodeeval DATA --conditions repository,llama.cpp --limit 5` and
`longllama-lsp bench typing`.

Usage: python tests/bench/aims.py [--model coder-0.5b] [--llama-bench PROGRAM] [--only NAME ...]
[--places 2] [--rounds 3] [--output aims.jsonl] [--again]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from energy import at_rest, measured
from latency import TYPED_FILE, workspace
from products import gguf_of
from speculation import remembered, requests

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import load_for_engine
from longllama_code.model.caches import LongLlamaCache
from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Document, Position
from lsp_server.methods import DID_MOVE_CURSOR

Json = dict[str, Any]
PROMPT_TOKENS, DECODED_TOKENS = 256, 32
REST_S = 0.5
KEYS = 6
AIMS = (
    ("prompt, tokens/s against llama.cpp, one thread", "same_file", "prompt_ratio", ">= 1.0 x"),
    ("decoding, tokens/s against llama.cpp", "same_file", "decoding_ratio", ">= 1.0 x"),
    ("... with a repository in memory", "in_memory", "ratio", ">= 1.0 x"),
    ("first suggestion where the cursor rested for 0.5 s", "places", "rested_s", "<= 0.3 s"),
    ("... at a place that nobody read before", "places", "new_s", "<= 1.2 s"),
    ("... back at an earlier place", "places", "back_s", ""),
    ("... after one more key", "places", "key_s", ""),
    ("rested, from a short context first", "short_first", "rested_s", "<= 0.3 s"),
    ("... at a place that nobody read before", "short_first", "new_s", "<= 1.2 s"),
    ("... after one more key", "short_first", "key_s", ""),
    ("processor time in 10 s after the last key", "energy", "after_the_last_key", "0 %"),
    ("... once what follows is read", "energy", "at_rest", "0 %"),
)


def same_file(options: argparse.Namespace) -> Json:
    """Tokens a second of one thread, ours and llama.cpp's in turn."""
    loaded = load_for_engine(options.model)
    assert loaded.kernels is not None
    kernels, cache = loaded.kernels, LongLlamaCache(loaded.model.config, spills=False)
    ids = [100 + 7 * index % 5000 for index in range(PROMPT_TOKENS)]

    def mine() -> tuple[float, float]:
        cache.truncate(0)
        prompt = rate(PROMPT_TOKENS, lambda: kernels.logits(kernels.run(ids, cache, None)[-1]))
        decoding = rate(
            DECODED_TOKENS,
            lambda: [
                kernels.logits(kernels.run([one], cache, None)[-1]) for one in ids[:DECODED_TOKENS]
            ],
        )
        return prompt, decoding

    mine()
    rounds = [(*mine(), *of_llama_bench(options)) for _ in range(options.rounds)]
    found: Json = {}
    for name, place in (("prompt", 0), ("decoding", 1)):
        found[name] = round(statistics.median(each[place] for each in rounds), 2)
        found[f"{name}_llama_cpp"] = round(statistics.median(each[place + 2] for each in rounds), 2)
        ratios = [each[place] / each[place + 2] for each in rounds]
        found[f"{name}_ratio"] = round(statistics.median(ratios), 3)
    return found


def rate(n_tokens: int, work: Callable[[], object]) -> float:
    """Return tokens a second."""
    started = time.perf_counter()
    work()
    return n_tokens / (time.perf_counter() - started)


def of_llama_bench(options: argparse.Namespace) -> tuple[float, float]:
    """Return tokens a second of a prompt, and of decoding, of llama.cpp's own benchmark."""
    counts = ["-p", str(PROMPT_TOKENS), "-n", str(DECODED_TOKENS), "-r", "1", "-t", "1"]
    command = [options.llama_bench, "-m", str(gguf_of(options.model)), *counts, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    prompt, decoding = json.loads(done.stdout)
    return float(prompt["avg_ts"]), float(decoding["avg_ts"])


def in_memory(options: argparse.Namespace) -> Json:
    """Tokens a second of answers beside this repository, and llama.cpp's without it."""
    engine = Engine.open(EngineOptions(options.model, persist=False, threads=1))
    n_tokens = remembered(engine)
    rates: list[float] = []
    for request in requests(options.places + 2, DECODED_TOKENS):
        timings = engine.complete(request, lambda: False).timings
        rates.append(1000 * timings.generated_tokens / timings.decode_ms)
    _, other = of_llama_bench(options)
    mine = statistics.median(rates)
    return {"memory_tokens": n_tokens, "decoding": round(mine, 2), "ratio": round(mine / other, 3)}


def places(options: argparse.Namespace) -> Json:
    """Seconds to suggestions at places of a file, from the whole prompt, over the real server."""
    return asyncio.run(_places(options, "never"))


def short_first(options: argparse.Namespace) -> Json:
    """Seconds to suggestions at the same places, where a short context may answer first."""
    return asyncio.run(_places(options, "always"))


class Typist:
    """Somebody in one document.

    Args:
        client: a client of the real server.
        path: the document's file.
    """

    def __init__(self, client: HeadlessClient, path: Path) -> None:
        self._client, self.text, self._version = client, path.read_text("utf-8"), 1
        self._uri = client.open(path, self.text)

    def rest_at(self, offset: int) -> None:
        """Say that the cursor was put somewhere."""
        place = Document("", "python", 1, self.text[:offset]).position(offset, "utf-32")
        params = {
            "textDocument": {"uri": self._uri},
            "position": {"line": place.line, "character": place.character},
        }
        self._client.protocol.notify(DID_MOVE_CURSOR, params)

    async def asked_at(self, offset: int) -> float:
        """Type a key, and return how long its suggestion takes."""
        self.text = self.text[:offset] + " " + self.text[offset:]
        self._version += 1
        self._client.change(self._uri, self._version, self.text)
        started = time.perf_counter()
        await self._client.complete(self._uri, _position(self.text[: offset + 1]))
        return time.perf_counter() - started


def _position(before: str) -> Position:
    return Document("", "python", 1, before).position(len(before), "utf-32")


async def _places(options: argparse.Namespace, short_context: str) -> Json:
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        root = workspace(Path(name))
        settings = {
            "model": {"path": options.model},
            "memory": {"cacheDir": str(Path(name) / "cache")},
            "completion": {
                "maxTokens": 16,
                "candidates": 1,
                "timeoutMs": 600_000,
                "shortFirst": short_context,
            },
        }
        async with headless(root, settings) as client:
            await client.wait_until_indexed()
            return await _visited(client, root / TYPED_FILE, options.places)


async def _visited(client: HeadlessClient, path: Path, n_places: int) -> Json:
    typist = Typist(client, path)
    times: dict[str, list[float]] = {"new_s": [], "rested_s": [], "back_s": [], "key_s": []}
    ends = [index for index, each in enumerate(typist.text) if each == "\n"]
    step = len(ends) // (2 * n_places + 1)
    for number in range(n_places):
        # Later places first: what is typed at them leaves the others where they are.
        new, rested = (ends[len(ends) - step * (2 * number + one)] for one in (1, 2))
        times["new_s"].append(await typist.asked_at(new))
        await at_rest(client)
        typist.rest_at(rested)
        await asyncio.sleep(REST_S)
        times["rested_s"].append(await typist.asked_at(rested))
        await at_rest(client)
        times["back_s"].append(await typist.asked_at(new + 2))
        for key in range(KEYS):
            times["key_s"].append(await typist.asked_at(new + 3 + key))
        await at_rest(client)
    return {name: round(statistics.median(each), 3) for name, each in times.items()}


def energy(options: argparse.Namespace) -> Json:
    """Percent of a processor in ten seconds after the last key, and later."""
    timed = argparse.Namespace(model=options.model, seconds=10.0)
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        found = asyncio.run(measured(timed, Path(name)))
    rates = {each: found[each]["cpu_percent"] for each in ("after_the_last_key", "at_rest")}
    return {**rates, "wake_ups_per_second": found["at_rest"]["wake_ups_per_second"]}


MEASURES = {each.__name__: each for each in (same_file, in_memory, places, short_first, energy)}
NEED_LLAMA_BENCH = ("same_file", "in_memory")


def commit() -> str:
    """Return the commit of this checkout; with a mark if it was changed."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def kept(options: argparse.Namespace, at: str) -> dict[str, Json]:
    """Return what was measured already of this commit and model."""
    if options.again or not options.output.exists():
        return {}
    rows = [json.loads(line) for line in options.output.read_text().splitlines()]
    same = [row for row in rows if (row["commit"], row["model"]) == (at, options.model)]
    return {row["measure"]: row["found"] for row in same}


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--llama-bench", default=shutil.which("llama-bench"))
    parser.add_argument("--only", nargs="+", choices=[*MEASURES], default=[*MEASURES])
    parser.add_argument("--places", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("aims.jsonl"))
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    at = commit()
    found = kept(options, at)
    for name in options.only:
        if name in NEED_LLAMA_BENCH and options.llama_bench is None:
            print(f"{name}: left out; name llama.cpp's program with --llama-bench")
        elif name not in found:
            found[name] = MEASURES[name](options)
            row = {"measure": name, "commit": at, "model": options.model, "found": found[name]}
            with options.output.open("a") as output:
                print(json.dumps(row), file=output)
            print(json.dumps(row), flush=True)
    print(f"\n{'':54} {'aim':>9} {'now':>9}")
    for label, measure, value, aim in AIMS:
        print(f"{label:54} {aim:>9} {found.get(measure, {}).get(value, '-'):>9}")


if __name__ == "__main__":
    main()
