"""Names that only another file defines: are they completed with memory, and without?

Takes a source tree, holds out one file after another and remembers the rest. The cursor goes into
the middle (with --start: before the first letter) of the first use of each name that the file has
not shown yet and another file defines. A completion is right when it goes on with the rest of the
name. Greedy; the same cursors for both.

Usage: python tests/bench/cases.py [--root .] [--glob PATTERN] [--files 6] [--cursors 60] [--start]
"""

import argparse
import ast
import io
import json
import keyword
import random
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest

SEED = 11
MIN_NAME_CHARS = 6


@dataclass(frozen=True)
class Cursor:
    """A place inside a name."""

    path: str
    line: int
    offset: int
    name: str
    shown: int
    """Characters of the name before the cursor."""


def definitions(text: str) -> set[str]:
    """Return names that a file defines: functions, classes, arguments, attributes and constants."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return {name for name in names if len(name) >= MIN_NAME_CHARS}


def cursors(path: str, text: str, elsewhere: set[str], *, half: bool) -> Iterator[Cursor]:
    """First uses, in a file, of names that another file defines."""
    own, seen = definitions(text), set[str]()
    line_starts = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        name = token.string
        if token.type != tokenize.NAME or keyword.iskeyword(name) or name in seen:
            continue
        seen.add(name)
        if name in elsewhere and name not in own:
            shown = (len(name) + 1) // 2 if half else 0
            offset = line_starts[token.start[0] - 1] + token.start[1] + shown
            yield Cursor(path, token.start[0], offset, name, shown)


def continues(completion: str, cursor: Cursor) -> bool:
    """Whether the completion goes on with the name, and ends it there."""
    rest = cursor.name[cursor.shown :]
    after = completion[len(rest) : len(rest) + 1]
    return completion.startswith(rest) and not (after.isalnum() or after == "_")


def remember(engine: Engine, path: str, text: str) -> None:
    """Take a file into memory."""
    for _ in engine.remember(path, text):
        pass


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd())
    parser.add_argument("--glob", default="**/*.py")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--cursors", type=int, default=60)
    parser.add_argument("--start", dest="half", action="store_false")
    options = parser.parse_args()
    texts = {
        path.relative_to(options.root).as_posix(): path.read_text("utf-8")
        for path in sorted(options.root.glob(options.glob))
        if ".venv" not in path.parts and path.stat().st_size
    }
    names = {path: definitions(text) for path, text in texts.items()}
    engine = Engine.open(EngineOptions(options.model))
    for path, text in texts.items():
        remember(engine, path, text)
    rng = random.Random(SEED)
    held_out = rng.sample(sorted(texts), min(options.files, len(texts)))
    counts = {"cursors": 0, "with memory": 0, "without": 0, "only with": 0, "only without": 0}
    for path in held_out:
        engine.forget(path)
        elsewhere = set().union(*(names[other] for other in texts if other != path))
        found = list(cursors(path, texts[path], elsewhere, half=options.half))
        for cursor in rng.sample(found, min(len(found), options.cursors // len(held_out))):
            prefix = texts[path][: cursor.offset]
            right = {}
            shown = {}
            for uses_memory in (True, False):
                request = CompletionRequest(
                    path, prefix, "", max_tokens=12, uses_memory=uses_memory
                )
                shown[uses_memory] = engine.complete(request, lambda: False)
                right[uses_memory] = continues(shown[uses_memory].text, cursor)
            counts["cursors"] += 1
            counts["with memory"] += right[True]
            counts["without"] += right[False]
            counts["only with"] += right[True] and not right[False]
            counts["only without"] += right[False] and not right[True]
            if right[True] != right[False]:
                source = shown[True].sources[0]
                line = prefix[prefix.rfind("\n") + 1 :]
                print(f"{path}:{cursor.line}  {line}|  wants {cursor.name}")
                print(f"    with    {shown[True].text!r}   from {source.path}:{source.first_line}")
                print(f"    without {shown[False].text!r}", flush=True)
        remember(engine, path, texts[path])
    print(counts)
    print(json.dumps({"cases": counts, "root": options.root.name, "model": options.model}))


if __name__ == "__main__":
    main()
