"""Names to import that another file defines: half of the name is typed, is the rest completed?

One cursor for each public class and function of this repository's two packages, behind
`from MODULE import` and the first half of the name, in a file of its own; the whole repository but
its tests is in memory, or nothing is. Greedy; the same cursors for both.

Usage: python tests/bench/imports.py [--model mini]
"""

import argparse
import ast
import json
from collections.abc import Iterator
from pathlib import Path

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest
from longllama_code.source_files.source_text import read_source
from longllama_code.source_files.workspace import Workspace

ROOT = Path(__file__).parents[2]
MIN_NAME_CHARS = 8


def repository() -> dict[str, str]:
    """Return the texts of this repository, its tests left out."""
    entries = Workspace([ROOT]).scan()
    return {
        entry.relative: read_source(entry.path)
        for entry in entries
        if entry.exclusion is None and not entry.relative.startswith("tests/")
    }


def imports(texts: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield an import line up to the middle of a name, and the rest of the name."""
    for path, text in texts.items():
        if not path.endswith(".py"):
            continue
        module = path.removesuffix(".py").replace("/", ".")
        for node in ast.parse(text).body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef):
                continue
            name, half = node.name, len(node.name) // 2
            if len(name) >= MIN_NAME_CHARS and not name.startswith("_"):
                yield f"from {module} import {name[:half]}", name[half:]


def is_right(completion: str, rest: str) -> bool:
    """Whether the completion is the rest of the name, and the name ends there."""
    after = completion[len(rest) : len(rest) + 1]
    return completion.startswith(rest) and not (after.isalnum() or after == "_")


def complete(engine: Engine, prefix: str, *, uses_memory: bool) -> tuple[str, str]:
    """Return the suggestion, and the line that it drew on most."""
    request = CompletionRequest("scratch.py", prefix, "", max_tokens=10, uses_memory=uses_memory)
    result = engine.complete(request, lambda: False)
    source = f"{result.sources[0].path}:{result.sources[0].first_line}" if result.sources else ""
    return result.text, source


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    engine = Engine.open(EngineOptions(options.model))
    texts = repository()
    for path, text in texts.items():
        for _ in engine.remember(path, text):
            pass
    counts = {"names": 0, "both": 0, "with memory only": 0, "without only": 0}
    for prefix, rest in imports(texts):
        shown, source = complete(engine, prefix, uses_memory=True)
        blind, _ = complete(engine, prefix, uses_memory=False)
        right, right_blind = is_right(shown, rest), is_right(blind, rest)
        counts["names"] += 1
        counts["both"] += right and right_blind
        counts["with memory only"] += right and not right_blind
        counts["without only"] += right_blind and not right
        if right != right_blind:
            print(
                f"{prefix}|{rest}\n    with {shown!r} (from {source}), without {blind!r}",
                flush=True,
            )
    print(counts)
    print(json.dumps({"imports": counts, "model": options.model}))


if __name__ == "__main__":
    main()
