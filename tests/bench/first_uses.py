"""Whole lines that use something of another file for the first time, asked of the engine.

Some files of packages that training never saw are held out; the others are in memory. Asked for
are lines of the class ``inproject-first`` (``longllama_code/research/evaluation/completion``:
``lines.py``), from their indentation on, with the text after the line there, as the server asks:
with the repository, and with the open file alone. ``longllama eval`` compares memories with each
other; this measures everything that the engine does, definitions in the prompt among it.

Answers are appended to FILE, one JSON object a line, and are not asked for again.

Usage: python tests/bench/first_uses.py [--model coder-0.5b] [--packages 20] [--lines 3]
[--conditions repository,file] [--output FILE.jsonl] [--threads 1]
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import load_for_engine
from longllama_code.protocol import CompletionRequest
from longllama_code.research.datasets.packages import fetch, load_packages
from longllama_code.research.datasets.sources import SourceTree, hold_out
from longllama_code.research.evaluation.bootstrap import Share, interval
from longllama_code.research.evaluation.completion.lines import (
    Cursor,
    cursors,
    names_of_many,
    project_of,
    sample,
)
from longllama_code.research.evaluation.completion.metrics import score

Row = dict[str, Any]
CONDITIONS = ("repository", "file")
HELD_OUT, MEMORY_CHARS = 4, 400_000
SEED = 0


def rows(
    engine: Engine,
    tree: SourceTree,
    many: frozenset[str],
    done: set[Any],
    n_lines: int,
    conditions: Any,
) -> Iterator[Row]:
    """Yield lines of some files of a package, asked for with the others in memory and without."""
    rng = random.Random(f"{SEED} {tree.name}")
    n_held = min(HELD_OUT, len(tree.texts) // 2)
    held_out, rest = hold_out(tree, n_held / len(tree.texts), rng)
    texts = dict[str, str]()
    for path, text in sorted(rest.texts.items()):
        if sum(map(len, texts.values())) + len(text) <= MEMORY_CHARS:
            texts[path] = text
    project = project_of(texts, many)
    found = [
        cursor
        for path in sorted(held_out.texts)
        for cursor in cursors(path, held_out.texts[path], project)
        if cursor.kind == "inproject-first"
    ]
    wanted = sample(found, n_lines, random.Random(f"{SEED} {tree.name} lines"))
    asked = [(each, condition) for each in wanted for condition in conditions]
    asked = [
        (each, condition)
        for each, condition in asked
        if (each.path, each.line, condition) not in done
    ]
    if not asked:
        return
    for path, text in texts.items():
        for _ in engine.remember(path, text):
            pass
    for each, condition in asked:
        yield row(engine, tree.name, each, held_out.texts[each.path], condition)


def row(engine: Engine, package: str, cursor: Cursor, text: str, condition: str) -> Row:
    """Return one line, completed."""
    line_end = text.find("\n", cursor.offset)
    request = CompletionRequest(
        cursor.path,
        text[: cursor.offset],
        text[line_end:] if line_end >= 0 else "",
        max_tokens=64,
        multiline=False,
        timeout_ms=600_000,
        uses_memory=condition == "repository",
        repository=package,
    )
    result = engine.complete(request, lambda: False)
    return {
        "package": package,
        "path": cursor.path,
        "line": cursor.line,
        "condition": condition,
        "wanted": cursor.wanted,
        "found": result.text,
        "confidence": result.confidence,
        "probability": result.probability,
        "definitions": len(result.definitions),
        **score(result.text, cursor.wanted),
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--packages", type=int, default=20)
    parser.add_argument("--lines", type=int, default=3, help="of a package")
    parser.add_argument("--conditions", "--arms", default=",".join(CONDITIONS))
    parser.add_argument("--output", type=Path, default=Path("first_uses.jsonl"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    conditions = options.conditions.split(",")
    if unknown := set(conditions) - set(CONDITIONS):
        parser.error(
            f"--conditions {','.join(sorted(unknown))}: choose from {','.join(CONDITIONS)}"
        )
    trees = [fetch(package) for package in load_packages("evaluation")[: options.packages]]
    many = names_of_many(tree.texts for tree in trees)
    text = options.output.read_text("utf-8") if options.output.exists() else ""
    found = [json.loads(line) for line in text.splitlines()]
    first = Engine.create(load_for_engine(options.model), None)
    for tree in trees:
        engine = first.fork()
        done = {(r["path"], r["line"], r["condition"]) for r in found if r["package"] == tree.name}
        for one in rows(engine, tree, many, done, options.lines, conditions):
            found.append(one)
            with options.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(one) + "\n")
        engine.release()
        print(f"{len(found)} answers, {tree.name}", file=sys.stderr, flush=True)
    for condition in conditions:
        of_condition = [r for r in found if r["condition"] == condition]
        groups = [
            [r["exact_match"] for r in of_condition if r["package"] == name]
            for name in sorted({r["package"] for r in of_condition})
        ]
        right = interval([Share(sum(group), len(group)) for group in groups], SEED)
        print(
            json.dumps(
                {
                    "condition": condition,
                    "lines": len(of_condition),
                    "whole_line_right": vars(right),
                }
            )
        )


if __name__ == "__main__":
    main()
