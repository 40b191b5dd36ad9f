"""Confidence thresholds: what of a suggestion is shown with each, and how often that is right.

In files of packages that training never saw, the rest of the package in memory, somebody types a
few lines: the text after them is there, and at cursors along the way, at the beginning of lines and
within them, suggestions are asked for as typing asks. A suggestion is right where what follows in
the file begins with it, and useful where at least its first word is right. For each threshold of
``trigger.minConfidence``: the share of cursors where something is shown, of those the share that is
right and useful, and the characters of right suggestions for each cursor.

Answers are appended to FILE, one JSON object a line, and are not asked for again.

Usage: python tests/bench/confidence.py [--model coder-0.5b] [--role evaluation] [--packages 6]
[--files 4] [--spans 2] [--output FILE.jsonl] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import load_for_engine
from longllama_code.protocol import CompletionRequest
from longllama_code.research.datasets.packages import fetch, load_packages
from longllama_code.research.datasets.sources import SourceTree
from lsp_server.suggestions.trimming import fitted

THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Least probabilities that all of a suggestion is right; 0 shows all of it in any case."""
MEMORY_TOKENS = 10_000
LEAST_CHARS, MOST_CHARS = 1_500, 12_000
"""Minimum and maximum size of a file, in characters."""
SPAN_LINES, CURSORS = 4, 6


@dataclass(frozen=True)
class Sample:
    """What is suggested at one cursor with one threshold."""

    package: str
    path: str
    offset: int
    """Offset of the cursor, in code points."""
    threshold: float
    text: str
    line_prefix: str
    """Text before the cursor on its line."""
    probability: float
    n_tokens: int
    stop_reason: str
    right: bool
    useful: bool


def spans(text: str, n: int, rng: random.Random) -> list[tuple[int, int]]:
    """Offsets where somebody begins to type lines of code, and where they end, in order."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found = [
        (starts[at], starts[at + SPAN_LINES])
        for at in range(0, len(lines) - SPAN_LINES, SPAN_LINES)
        if sum(is_code(line) for line in lines[at : at + SPAN_LINES]) >= SPAN_LINES - 1
    ]
    return sorted(rng.sample(found, min(n, len(found))))


def is_code(line: str) -> bool:
    """Whether a line may say something that is worth a suggestion."""
    code = line.strip()
    return len(code) > 8 and not code.startswith(("#", '"', "'"))


def cursors(text: str, start: int, end: int, rng: random.Random) -> list[int]:
    """Offsets in a span where typing asks, in order: behind the indent of a line, and within it."""
    found: set[int] = set()
    for line in re.finditer(r"[^\n]*\n", text[start:end]):
        code = line.group().strip()
        if len(code) > 8:
            first = start + line.start() + len(line.group()) - len(line.group().lstrip())
            found.update({first, first + len(code) // 3, first + len(code) // 2})
    return sorted(rng.sample(sorted(found), min(CURSORS, len(found))))


def asked(
    engine: Engine, tree: SourceTree, done: set[tuple[str, int, float]], options: argparse.Namespace
) -> Iterator[Sample]:
    """Suggestions in some files of a package, the others in memory."""
    rng = random.Random(f"confidence {tree.name}")
    paths = [p for p, text in tree.texts.items() if LEAST_CHARS <= len(text) <= MOST_CHARS]
    chosen = rng.sample(sorted(paths), min(options.files, len(paths)))
    places = {
        path: [
            (end, cursors(tree.texts[path], start, end, rng))
            for start, end in spans(tree.texts[path], options.spans, rng)
        ]
        for path in chosen
    }
    for path, text in tree.texts.items():
        if path not in chosen and engine.status().n_tokens < MEMORY_TOKENS:
            for _ in engine.remember(path, text):
                pass
    for path in chosen:
        text = tree.texts[path]
        for end, offsets in places[path]:
            for offset in offsets:
                for threshold in THRESHOLDS:
                    if (path, offset, threshold) not in done:
                        yield suggestion(engine, tree.name, path, text, offset, end, threshold)


def suggestion(
    engine: Engine, package: str, path: str, text: str, offset: int, end: int, threshold: float
) -> Sample:
    """Return the suggestion at a cursor while the lines up to ``end`` are being typed."""
    before, suffix = text[:offset], "\n" + text[end:]
    request = CompletionRequest(
        path, before, suffix, multiline=False, timeout_ms=600_000, min_confidence=threshold
    )
    result = engine.complete(request, lambda: False)
    shown = fitted(result.text, before, suffix).text
    after = text[offset:]
    word = re.match(r"\W*\w+|\W+", shown)
    return Sample(
        package=package,
        path=path,
        offset=offset,
        threshold=threshold,
        text=shown,
        line_prefix=before.rpartition("\n")[2],
        probability=result.probability,
        n_tokens=result.timings.generated_tokens,
        stop_reason=result.stop_reason,
        right=bool(shown) and after.startswith(shown),
        useful=word is not None and after.startswith(word.group()),
    )


def line(found: Sequence[Sample], threshold: float) -> dict[str, float]:
    """Return the results of a threshold."""
    asked = [one for one in found if one.threshold == threshold]
    shown = [one for one in asked if one.text]
    return {
        "threshold": threshold,
        "shown": round(len(shown) / len(asked), 3),
        "right": round(sum(one.right for one in shown) / max(len(shown), 1), 3),
        "useful": round(sum(one.useful for one in shown) / max(len(shown), 1), 3),
        "right_characters": round(sum(len(one.text) for one in shown if one.right) / len(asked), 2),
    }


def read(file: Path) -> list[Sample]:
    """Suggestions of earlier runs."""
    if not file.exists():
        return []
    return [Sample(**json.loads(row)) for row in file.read_text("utf-8").splitlines()]


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--role", choices=("evaluation", "training"), default="evaluation")
    parser.add_argument("--packages", type=int, default=6)
    parser.add_argument("--files", type=int, default=4, help="of a package")
    parser.add_argument("--spans", type=int, default=2, help="of a file: lines that are typed")
    parser.add_argument("--output", type=Path, default=Path("confidence.jsonl"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    first = Engine.create(load_for_engine(options.model), None)
    found = read(options.output)
    for package in load_packages(options.role)[-options.packages :]:
        engine = first.fork()
        tree = fetch(package)
        done = {(one.path, one.offset, one.threshold) for one in found if one.package == tree.name}
        for one in asked(engine, tree, done, options):
            found.append(one)
            with options.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(one)) + "\n")
        engine.release()
        print(f"{len(found)} suggestions, {package.name}", file=sys.stderr, flush=True)
    report = [line(found, threshold) for threshold in THRESHOLDS]
    for each in report:
        print(json.dumps(each))
    print(json.dumps({"confidence": report, "suggestions": len(found), "model": options.model}))


if __name__ == "__main__":
    main()
