"""How far a suggestion's confidence tells whether it is right, and what a threshold would leave.

Cursors in files of packages that training never saw, inside lines and at their beginning, with the
rest of the package in memory; each is asked as typing asks. A suggestion is right where what
follows in the file begins with it, and useful where at least its first word is right. For each
threshold of ``trigger.minConfidence``: the share of suggestions that are still shown, of those the
share that is right and useful, and the share of right ones that is lost.

Usage: python tests/bench/confidence.py [--model mini] [--packages 6] [--files 4] [--places 10]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import load_placed, with_kernels
from longllama_code.protocol import CompletionRequest
from longllama_code.training.packages import fetch, load_packages
from longllama_code.training.sources import SourceTree
from lsp_server.form import fitted

THRESHOLDS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MEMORY_TOKENS = 10_000
LEAST_CHARS, MOST_CHARS = 1_500, 8_000
"""Of a file that is asked about: the model reads it from the start."""


@dataclass(frozen=True)
class Asked:
    """One suggestion."""

    confidence: float
    right: bool
    useful: bool


def places(text: str, n: int, rng: random.Random) -> list[int]:
    """Offsets where somebody may type, in order: behind the indent of a line, and within it."""
    found: list[int] = []
    offset = 0
    for line in text.splitlines(keepends=True):
        code = line.strip()
        if len(code) > 8 and not code.startswith(("#", '"')):
            start = offset + len(line) - len(line.lstrip())
            found.append(start + rng.choice([0, len(code) // 3, len(code) // 2]))
        offset += len(line)
    return sorted(rng.sample(found, min(n, len(found))))


def asked(
    engine: Engine, tree: SourceTree, n_files: int, n_places: int, rng: random.Random
) -> Iterator[Asked]:
    """Suggestions in some files of a package, the others in memory."""
    paths = [p for p, text in tree.texts.items() if LEAST_CHARS <= len(text) <= MOST_CHARS]
    chosen = rng.sample(sorted(paths), min(n_files, len(paths)))
    for path, text in tree.texts.items():
        if path not in chosen and engine.status().n_tokens < MEMORY_TOKENS:
            for _ in engine.remember(path, text):
                pass
    for path in chosen:
        text = tree.texts[path]
        for offset in places(text, n_places, rng):
            before, after = text[:offset], text[offset:]
            rest_of_line = after.partition("\n")[0]
            suffix = after[len(rest_of_line) :]  # as if the line's rest were still to be typed
            request = CompletionRequest(path, before, suffix, multiline=False)
            result = engine.complete(request, lambda: False)
            suggestion = fitted(result.text, before, suffix)
            if suggestion:
                word = re.match(r"\W*\w+|\W+", suggestion)
                useful = word is not None and after.startswith(word.group())
                yield Asked(result.confidence, after.startswith(suggestion), useful)


def line(found: Sequence[Asked], threshold: float) -> dict[str, float]:
    """What a threshold leaves."""
    kept = [one for one in found if one.confidence >= threshold]
    n_right = sum(one.right for one in found)
    return {
        "threshold": threshold,
        "shown": round(len(kept) / len(found), 3),
        "right": round(sum(one.right for one in kept) / max(len(kept), 1), 3),
        "useful": round(sum(one.useful for one in kept) / max(len(kept), 1), 3),
        "right_lost": round(1 - sum(one.right for one in kept) / max(n_right, 1), 3),
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--packages", type=int, default=6)
    parser.add_argument("--files", type=int, default=4, help="of a package")
    parser.add_argument("--places", type=int, default=10, help="of a file")
    options = parser.parse_args()
    first = Engine(with_kernels(load_placed(options.model)), None)
    found: list[Asked] = []
    for package in load_packages("evaluation")[-options.packages :]:
        engine = first.beside()
        rng = random.Random(f"confidence {package.name}")
        found += asked(engine, fetch(package), options.files, options.places, rng)
        engine.leave()
        print(f"{len(found)} suggestions, {package.name}", file=sys.stderr, flush=True)
    report = [line(found, threshold) for threshold in THRESHOLDS]
    for each in report:
        print(json.dumps(each))
    print(json.dumps({"confidence": report, "suggestions": len(found), "model": options.model}))


if __name__ == "__main__":
    main()
