"""Drafts: forward passes for each token of the answers, and time, with drafts and without.

The files of this repository's two packages are in memory but for one, which is completed in the
middle of lines all over it. Each answer is written twice, with drafts and without, in turn; the
prompt is read before the clock starts. Both answers must be the same.

Usage: python tests/bench/speculation.py [--model mini] [--places 24] [--tokens 32]
[--definition-tokens 768]
"""

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

from longllama_code.engine_options import EngineOptions
from longllama_code.generation import answer as answer_module
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest, CompletionResult

SOURCES = Path(__file__).parents[2]
HELD_OUT = "lsp_server/session.py"
TIMEOUT_MS = 36_000_000
PACKAGES = ("lsp_server", "longllama_code/memory", "longllama_code/generation")


def remembered(engine: Engine) -> int:
    """Take the packages into memory but for the file held out; tokens in memory."""
    for package in PACKAGES:
        for path in sorted((SOURCES / package).rglob("*.py")):
            name = path.relative_to(SOURCES).as_posix()
            if name != HELD_OUT:
                for _ in engine.remember(name, path.read_text("utf-8")):
                    pass
    return engine.status().n_tokens


def requests(n_places: int, n_tokens: int, definition_tokens: int = 768) -> list[CompletionRequest]:
    """Cursors in the middle of lines all over the file; no answer ends before its tokens."""
    text = (SOURCES / HELD_OUT).read_text("utf-8")
    lines = text.splitlines(keepends=True)
    chosen = [number for number, line in enumerate(lines) if len(line) > 24][20:]
    made: list[CompletionRequest] = []
    for number in chosen[:: max(1, len(chosen) // n_places)][:n_places]:
        prefix = "".join(lines[:number]) + lines[number][: len(lines[number]) // 2]
        request = CompletionRequest(HELD_OUT, prefix, "", n_tokens, timeout_ms=TIMEOUT_MS)
        made.append(replace(request, definition_tokens=definition_tokens))
    return made


def answer(engine: Engine, request: CompletionRequest, *, drafts: bool) -> CompletionResult:
    """Return the answer, its prompt read before; the same cache serves both ways."""
    drafter = answer_module.Drafter
    if not drafts:
        answer_module.Drafter = _no_drafter
    try:
        engine.complete(replace(request, max_tokens=1), lambda: False)
        return engine.complete(request, lambda: False)
    finally:
        answer_module.Drafter = drafter


def _no_drafter(view: object, context: object) -> None:
    """In place of a drafter."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--places", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--definition-tokens", type=int, default=768)
    parser.add_argument("--cache", type=Path, help="folder of encoded segments, kept")
    options = parser.parse_args()
    engine = Engine.open(
        EngineOptions(options.model, options.cache, persist=options.cache is not None)
    )
    print(f"{options.model}, {remembered(engine):,} tokens in memory", flush=True)
    if (kernels := engine._loaded.kernels) is not None:
        print(f"drafts pay, as measured at the start: {kernels.drafts_pay}", flush=True)
        kernels.drafts_pay = True
    n_tokens = n_passes = 0
    ratios: list[float] = []
    made = requests(options.places, options.tokens, options.definition_tokens)
    for number, request in enumerate(made):
        ways = (True, False) if number % 2 else (False, True)
        found = {way: answer(engine, request, drafts=way) for way in ways}
        assert found[True].text == found[False].text, found
        timings = found[True].timings
        n_tokens += timings.generated_tokens
        n_passes += timings.passes
        ratios.append(found[False].timings.decode_ms / timings.decode_ms)
        row = {"tokens": timings.generated_tokens, "passes": timings.passes, "ratio": ratios[-1]}
        print(json.dumps(row), flush=True)
    print(f"passes for each token: {n_passes / n_tokens:.2f} ({n_passes} for {n_tokens})")
    print(
        f"time without drafts / with: median {statistics.median(ratios):.2f}, mean "
        f"{statistics.fmean(ratios):.2f}, least {min(ratios):.2f}, most {max(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
