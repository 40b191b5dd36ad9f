"""Right answers from a short local context, beside recorded answers from the whole one.

The instances of CrossCodeEval that a run of `longllama-lsp bench crosscodeeval` has answered are
asked again, of the engine, with few tokens: so many before the cursor, so many after it, and the
definitions needed most. Printed for each instance, as a line of JSON: whether either answer was
right, the tokens of either prompt, and the seconds of this one; then the totals. Rows that the
output file has already are not asked again.

Usage: python tests/bench/short_context.py DATA RUN.jsonl [RUN.jsonl ...] --output FILE
[--limit 20] [--chars 256] [--suffix-tokens 128] [--definition-tokens 256] [--model coder-0.5b]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.generation.prompting import prompt as prompt_module
from longllama_code.protocol import CompletionRequest

Json = dict[str, Any]
SUFFIXES = (".py", ".pyi")
MAX_BYTES = 1 << 20


def lines_of(path: Path) -> list[Json]:
    """Return the rows of a file of JSON lines; none if it does not exist."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def recorded(runs: list[Path]) -> dict[str, Json]:
    """Return the answers with the repository, by instance."""
    rows = [row for run in runs for row in lines_of(run) if row.get("arm") == "repository"]
    return {row["instance"]: row for row in rows if row["error"] is None}


def chosen(instances: list[Json], answered: dict[str, Json], n: int) -> list[Json]:
    """Return instances spread over those that were answered."""
    known = [each for each in instances if each["instance_id"] in answered]
    return known[:: max(1, len(known) // n)][:n]


def sources(tree: Path, left_out: str) -> Iterator[tuple[str, str]]:
    """Yield the other source files of a repository."""
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        if path.suffix in SUFFIXES and name != left_out and path.stat().st_size < MAX_BYTES:
            yield name, path.read_text("utf-8", "replace")


def asked(host: Engine, data: Path, instance: Json, options: argparse.Namespace) -> Json:
    """Ask for an instance, in a repository of its own."""
    tree, file = data / "repos" / instance["repository"], instance["file"]
    text = (tree / file).read_text("utf-8")
    start, end = instance["offset"], instance["offset"] + instance["length"]
    engine = host.fork()
    for name, other in sources(tree, file):
        for _ in engine.remember(name, other):
            pass
    request = CompletionRequest(
        file,
        text[:start],
        text[end:],
        timeout_ms=600_000,
        repository=instance["repository"],
        definition_tokens=options.definition_tokens,
    )
    started = time.perf_counter()
    result = engine.complete(request, lambda: False)
    seconds = time.perf_counter() - started
    engine.release()
    return {
        "text": result.text,
        "tokens": result.timings.prompt_tokens,
        "seconds": round(seconds, 2),
        "prefill_s": round(result.timings.prefill_ms / 1000, 2),
    }


def first_line(text: str) -> str:
    """Return what a row of the benchmark compares."""
    return text.strip().split("\n", 1)[0].strip()


def main() -> None:
    """Ask, print and keep each row, then the totals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--chars", type=int, default=256, help="one to two times as many before")
    parser.add_argument("--suffix-tokens", type=int, default=128)
    parser.add_argument("--definition-tokens", type=int, default=256)
    parser.add_argument("--model", default="coder-0.5b")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prompt_module.MARKED_STEP_CHARS = options.chars
    host = Engine.open(EngineOptions(options.model, persist=False))
    assert host._model.marks is not None
    host._model.marks = replace(host._model.marks, suffix_tokens=options.suffix_tokens)
    answers = recorded(options.runs)
    rows = {row["instance"]: row for row in lines_of(options.output)}
    for instance in chosen(lines_of(options.data / "instances.jsonl"), answers, options.limit):
        name = instance["instance_id"]
        if name not in rows:
            whole = answers[name]
            found = asked(host, options.data, instance, options)
            rows[name] = {
                "instance": name,
                "right_short": first_line(found["text"]) == whole["wanted"].strip(),
                "right_whole": whole["right"] == 1.0,
                "tokens_whole": whole["prompt_tokens"],
                **found,
                "wanted": whole["wanted"],
            }
            with options.output.open("a") as output:
                print(json.dumps(rows[name]), file=output, flush=True)
            print(json.dumps(rows[name]), flush=True)
    totals(list(rows.values()))


def totals(rows: list[Json]) -> None:
    """Print right answers and tokens of both."""
    n = len(rows)
    for kind, tokens in (("short", "tokens"), ("whole", "tokens_whole")):
        right = sum(row[f"right_{kind}"] for row in rows)
        mean = sum(row[tokens] for row in rows) / n
        print(f"{kind}: {right} of {n} right, {mean:.0f} tokens a prompt")


if __name__ == "__main__":
    main()
