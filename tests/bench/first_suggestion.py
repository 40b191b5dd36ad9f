"""Time until a suggestion uses a definition of another file, in a repository never seen before.

A repository's files are checked out of a git directory into a temporary folder. For each of some
cursors a server is started with an empty cache, and the model loaded. Then the clock starts: a file
is opened, and a suggestion is asked for in a line that goes on with a name that one other file
defines (as the demo chooses them), until the prompt shows that definition, or does not although all
definitions are known. Printed for each cursor, as a line of JSON: time until the prompt was asked
for that shows it, and until its suggestion; how much of that was reading and writing by the model;
until the definitions of the whole repository were known, and until all of it was in memory; and
whether the suggestion and its definitions are the same then.

Usage: python tests/bench/first_suggestion.py GIT_DIRECTORY [--cursors 5] [--model coder-0.5b]
[--max-tokens 1000000]
"""

import argparse
import asyncio
import json
import subprocess
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.demo.own_lines import own_places
from lsp_server.demo.places import NAME, Place
from lsp_server.demo.stage import until

Json = dict[str, Any]
DELAY_S = 1.0
"""Time between opening the file and the first question: somebody types a line."""
MAX_QUESTIONS = 20


def check_out(git_directory: Path, folder: Path) -> Path:
    """Write the files of the newest commit into a folder, without a work tree."""
    command = ["git", "--git-dir", str(git_directory), "archive", "HEAD"]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    root = folder / "project"
    root.mkdir()
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(root, filter="data")
    return root


async def ask(client: HeadlessClient, uri: str, place: Place) -> tuple[str, Json]:
    """Return a suggestion and what is said of it."""
    text = await client.complete(uri, place.position)
    return text, await client.explain() or {}


def shows(explained: Json, place: Place) -> bool:
    """Whether a prompt shows the definition that the line goes on with."""
    match = NAME.match(place.expected)
    names = [each["name"].rpartition(".")[2] for each in explained.get("definitions") or ()]
    return match is not None and match[0] in names


def names_of(explained: Json) -> list[str]:
    """Return the definitions that a prompt shows."""
    return sorted(each["path"] + each["name"] for each in explained.get("definitions") or ())


async def measured(root: Path, place: Place, options: argparse.Namespace, cache: Path) -> Json:
    """Return the measurements of one cursor."""
    settings = {
        "model": {"path": options.model},
        "memory": {
            "cacheDir": str(cache),
            "maxTokens": options.max_tokens,
            "exclude": [f"/{place.file}"],
        },
        "indexing": {"pauseOnBattery": False},
        "completion": {"candidates": 1, "timeoutMs": 120_000, "ahead": False},
    }
    async with headless(root, settings) as client:
        await until(client, lambda status: status["phase"] != "loading")
        opened = time.perf_counter()
        known = asyncio.create_task(seconds_until(client, opened, "undefined"))
        uri = client.open(root / place.file, place.text)
        await asyncio.sleep(DELAY_S)
        n_questions, explained, text, asked, is_known = 0, {}, "", opened, False
        while n_questions < MAX_QUESTIONS and not is_known and not shows(explained, place):
            n_questions, is_known = n_questions + 1, known.done()
            asked = time.perf_counter()
            text, explained = await ask(client, uri, place)
        answered = time.perf_counter()
        known_s = await known
        indexed_s = await seconds_until(client, opened, "waiting")
        last_text, last = await ask(client, uri, place)
        files = (await client.status())["files"]
    timings = explained["timings"]
    return {
        "file": place.file,
        "line": place.line,
        "shown": shows(explained, place),
        "questions": n_questions,
        "asked_s": round(asked - opened, 2),
        "suggested_s": round(answered - opened, 2),
        "model_s": round((timings["prefill_ms"] + timings["decode_ms"]) / 1000, 2),
        "prompt_tokens": timings["prompt_tokens"],
        "definitions_known_s": known_s,
        "indexed_s": indexed_s,
        "files": files["in_memory"],
        "tokens": files["tokens"],
        "right": place.is_right(text),
        "same_text": text == last_text,
        "same_definitions": names_of(explained) == names_of(last),
    }


async def seconds_until(client: HeadlessClient, opened: float, count: str) -> float:
    """Return when no file was left to be read, by one of the status's counts."""
    await asyncio.sleep(DELAY_S)
    await until(client, lambda status: not status["files"][count])
    return round(time.perf_counter() - opened, 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("git_directory", type=Path, metavar="GIT_DIRECTORY")
    parser.add_argument("--cursors", type=int, default=5)
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--max-tokens", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        root = check_out(options.git_directory.resolve(), Path(name))
        for number, place in enumerate(own_places(root, options.cursors)):
            cache = Path(name) / f"cache-{number}"
            row = asyncio.run(measured(root, place, options, cache))
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
