"""Time of ``/infill`` beside llama.cpp's own, with the same weights and llama.vscode's requests.

Usage: python tests/bench/http_infill.py FOLDER --llama-server PROGRAM --gguf FILE [--places N]

FOLDER has a repository; it is copied, and the copy is changed. At N places, each in the middle of a
line of another file, both servers are asked by the same model of llama.vscode: at first, after one
more key that the suggestion did not foresee, and after such a key once another file was saved and
the person has rested. Prints a row a place, and medians with their ratios.
"""

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[2]))

from lsp_server.benchmarks.systems.llama_server import LlamaServer, llama_server
from lsp_server.benchmarks.systems.llama_vscode import LlamaVscode, llama_vscode
from lsp_server.benchmarks.systems.llama_vscode_prompt import Settings
from lsp_server.benchmarks.systems.system import Answer
from lsp_server.engine.python_command import python_command

ANSWER_TIMEOUT_S = 600.0
INDEX_TIMEOUT_S = 3600.0
REST_S = 5.0
"""Time that the person rests after another file was saved."""
KEYS = "xyz_"
"""Keys to type: one of them is not what the suggestion begins with."""
MIN_LINES = 40
OURS, THEIRS = "longllama", "llama.cpp"
Times = tuple[float, float, float]
"""Seconds of the first request, after a key, and after another file's change."""


@asynccontextmanager
async def our_server(folder: Path, cache: Path, model: str) -> AsyncGenerator[LlamaServer, None]:
    """Yield this server, once all files of a folder are in memory."""
    log = cache / "log"
    cache.mkdir(parents=True)
    options = ["serve", "--http", "0", "--root", str(folder), "--model", model]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *python_command("lsp_server.cli.main"),
            *[*options, "--cache-dir", str(cache)],
            stdin=asyncio.subprocess.DEVNULL,
            stderr=output,
        )
    try:
        await said(log, "the repository is in memory", process)
        url = log.read_text().split("listening on ")[1].split()[0]
        async with httpx2.AsyncClient(
            base_url=url, timeout=ANSWER_TIMEOUT_S, trust_env=False
        ) as client:
            yield LlamaServer(client, process, log, "ours", Path(model))
    finally:
        process.terminate()
        await process.wait()


async def said(log: Path, text: str, process: asyncio.subprocess.Process) -> None:
    """Wait until a process has logged a text."""
    for _ in range(int(INDEX_TIMEOUT_S / 0.2)):
        if text in log.read_text():
            return
        if process.returncode is not None:
            break
        await asyncio.sleep(0.2)
    raise RuntimeError(f"the server did not get ready; its log is\n{log.read_text()}")


def places(folder: Path, n_places: int, seed: int) -> list[tuple[str, str, int, str]]:
    """Return files, their texts without the rest of a line, cursors there, and other files."""
    files = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*.py"))
        if path.is_file() and len(path.read_text("utf-8", "replace").splitlines()) >= MIN_LINES
    ]
    rng = random.Random(seed)
    rng.shuffle(files)
    found: list[tuple[str, str, int, str]] = []
    for number, file in enumerate(files[:n_places]):
        text = (folder / file).read_text("utf-8", "replace")
        lines = text.split("\n")
        long = [at for at, line in enumerate(lines) if len(line.strip()) > 20]
        at = rng.choice(long)
        cut = len(lines[at]) - len(lines[at].strip()) // 2
        before = "\n".join([*lines[:at], lines[at][:cut]])
        rest = "\n".join(["", *lines[at + 1 :]])
        found.append((file, before + rest, len(before), files[(number + 1) % len(files)]))
    return found


async def times(
    editor: LlamaVscode, folder: Path, place: tuple[str, str, int, str]
) -> tuple[Times, list[Answer]]:
    """Return how long the three requests at a place take, and their answers."""
    file, text, at, other = place
    await editor.open(file, text)
    first = await editor.complete(at, automatic=True)
    await editor.change(at, at, unforeseen(first))
    typed = await editor.complete(at + 1, automatic=True)
    changed_text = (folder / other).read_text("utf-8", "replace") + "\n\n# A line was added.\n"
    await editor.save_other(other, changed_text)
    await asyncio.sleep(REST_S)
    await editor.change(at + 1, at + 1, unforeseen(typed))
    changed = await editor.complete(at + 2, automatic=True)
    await editor.close()
    return (first.seconds, typed.seconds, changed.seconds), [first, typed, changed]


def unforeseen(answer: Answer) -> str:
    """Return a key that the answer does not begin with."""
    return next(key for key in KEYS if not answer.text.startswith(key))


async def measure(options: argparse.Namespace) -> dict[str, list[Times]]:
    """Return the times of both servers at all places."""
    found: dict[str, list[Times]] = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory() as scratch:
        for name in (THEIRS, OURS):
            folder = Path(scratch, name.replace(".", "-"), options.folder.name)
            shutil.copytree(options.folder, folder, ignore=shutil.ignore_patterns(".git"))
            asked = places(folder, options.places, options.seed)
            for file, text, _, _ in asked:  # what is to be written is nowhere
                (folder / file).write_text(text, "utf-8")
            if name == THEIRS:
                server = llama_server(options.llama_server, options.gguf, options.threads)
            else:
                server = our_server(folder, Path(scratch, "cache"), options.model)
            async with (
                server as running,
                llama_vscode(running, folder, 1, Settings(asks_ahead=False)) as editor,
            ):
                for place in asked:
                    seconds, answers = await times(editor, folder, place)
                    found[name].append(seconds)
                    shown = "\t".join(f"{each:.3f}" for each in seconds)
                    print(name, place[0], shown, [each.text for each in answers], sep="\t")
    return found


def main() -> None:
    """Measure, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llama-server", default="llama-server")
    parser.add_argument("--gguf", type=Path, required=True, help="weights for both")
    parser.add_argument("--model", help="model of this server, if not the GGUF")
    parser.add_argument("--places", type=int, default=12)
    parser.add_argument("--threads", type=int, default=0, help="of llama.cpp; 0: one a core")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    options.model = options.model or str(options.gguf)
    found = asyncio.run(measure(options))
    print("median seconds", "first", "after a key", "after another file's change", sep="\t")
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in found.items()
    }
    for name, values in medians.items():
        print(name, *(f"{value:.3f}" for value in values), sep="\t")
    pairs = zip(medians[OURS], medians[THEIRS], strict=True)
    print("ratio", *(f"{ours / theirs:.3f}" for ours, theirs in pairs), sep="\t")


if __name__ == "__main__":
    main()
