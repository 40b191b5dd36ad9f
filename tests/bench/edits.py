"""Segments that an edit of one function has encoded anew, in files of a thousand lines and more.

Functions of the longest files of packages, each edited in four ways: a line added, a line removed,
a name changed, the whole function taken out. A segment is encoded where its text was in no segment
of the file before. Which model encodes them does not matter, only its tokenizer and its limits.

Usage: python tests/bench/edits.py [--model mini] [--packages 20] [--functions 20]
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence

from longllama_code.generation.models import load
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.research.datasets.packages import fetch, load_packages

LEAST_LINES = 1000
FILES_EACH = 2

Edit = Callable[[Sequence[str], random.Random], list[str]]


def add_line(body: Sequence[str], rng: random.Random) -> list[str]:
    """Return a statement more, as deep as the line that it stands behind."""
    at = rng.randrange(len(body))
    line = body[at]
    indent = line[: len(line) - len(line.lstrip())]
    return [*body[: at + 1], f"{indent}checked = validate(checked, strict=True)\n", *body[at + 1 :]]


def remove_line(body: Sequence[str], rng: random.Random) -> list[str]:
    """Return a line less."""
    at = rng.randrange(1, len(body))
    return [*body[:at], *body[at + 1 :]]


def rename(body: Sequence[str], _: random.Random) -> list[str]:
    """Return the most frequent word of some length gets another name."""
    words = Counter(word for line in body for word in line.split() if word.isidentifier())
    word = max(words, key=lambda each: (len(each) > 3, words[each]))
    return [line.replace(word, f"{word}_again") for line in body]


def take_out(body: Sequence[str], _: random.Random) -> list[str]:
    """Nothing is left."""
    return []


EDITS: dict[str, Edit] = {
    "line added": add_line,
    "line removed": remove_line,
    "name changed": rename,
    "function removed": take_out,
}


def functions(text: str) -> list[range]:
    """Return the lines of each function and method, from 0."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node for node in ast.walk(ast.parse(text)) if isinstance(node, defined))
    return [range(node.lineno - 1, node.end_lineno or 0) for node in found]


def parts(encoder: SegmentEncoder, text: str) -> Counter[str]:
    """Return the texts of a file's segments."""
    return Counter(text[piece.start : piece.end] for piece in encoder.cut(text))


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--packages", type=int, default=20)
    parser.add_argument("--functions", type=int, default=20, help="of a file")
    options = parser.parse_args()
    encoder = load(options.model).encoder()
    counts: dict[str, list[int]] = {name: [] for name in EDITS}
    sizes: list[int] = []
    for package in load_packages("evaluation")[: options.packages]:
        rng = random.Random(f"edits {package}")
        texts = sorted(fetch(package).texts.values(), key=len, reverse=True)[:FILES_EACH]
        for text in texts:
            lines = text.splitlines(keepends=True)
            if len(lines) < LEAST_LINES:
                continue
            before = parts(encoder, text)
            sizes.append(before.total())
            found = [body for body in functions(text) if len(body) > 2]
            for body in rng.sample(found, min(options.functions, len(found))):
                for name, edit in EDITS.items():
                    new = edit(lines[body.start : body.stop], rng)
                    edited = "".join([*lines[: body.start], *new, *lines[body.stop :]])
                    counts[name].append((parts(encoder, edited) - before).total())
    report = {"files": len(sizes), "segments_of_a_file": statistics.mean(sizes)}
    print(f"{len(sizes)} files, {statistics.mean(sizes):.0f} segments each")
    for name, of_kind in counts.items():
        within = sum(count <= 2 for count in of_kind) / len(of_kind)
        report[name] = {
            "edits": len(of_kind),
            "mean": round(statistics.mean(of_kind), 2),
            "most": max(of_kind),
            "at_most_two": round(within, 3),
        }
        print(f"{name:18}", report[name])
    print(json.dumps({"edits": report, "model": options.model}))


if __name__ == "__main__":
    main()
