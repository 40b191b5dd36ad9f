"""Suggestions with names that exist nowhere, found in the results of earlier runs.

For each suggestion of ``longllama-lsp bench crosscodeeval DATA --output FILE``: whether it takes a
name from a module or class of the repository that lacks it, and whether it was right. The right
answers are looked at as well: none may be refused. Counted besides are suggestions that call a name
which stands nowhere in file or repository; these are shown. No model is run, but with ``--again``:
it then writes the suggestions again that are refused, with ``CompletionRequest.existing_names``.

Usage: python tests/bench/existing_names.py DATA FILE.jsonl [FILE.jsonl ...] [--show]
[--again MODEL]
"""

from __future__ import annotations

import argparse
import builtins
import json
import keyword
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from longllama_code.definitions.existing_names import MissingName, missing_name
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest
from lsp_server.benchmarks.datasets.cross_code_eval import load
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.infilling.scores import score

MAX_BYTES = 400_000
CALLED = re.compile(r"(?<![\w.])([^\W\d]\w*)\(")
"""A name at large that is called."""


def index_of(tree: Path) -> DefinitionIndex:
    """Return the index of a repository's Python files."""
    index = DefinitionIndex()
    for path, text in texts_of(tree).items():
        index.put(path, text)
    return index


def texts_of(tree: Path) -> dict[str, str]:
    """Return the Python files of a repository."""
    return {
        path.relative_to(tree).as_posix(): path.read_text("utf-8", "replace")
        for path in sorted(tree.rglob("*.py*"))
        if path.suffix in (".py", ".pyi") and path.stat().st_size < MAX_BYTES
    }


def rows(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the results of a file, whose first line describes the run."""
    for line in file.read_text("utf-8").splitlines():
        row = json.loads(line)
        if "instance" in row:
            yield row


def is_invented(index: DefinitionIndex, instance: Instance, text: str) -> bool:
    """Whether a text calls a name that stands nowhere in its file or the repository."""
    known = set(re.findall(r"\w+", instance.opened)) | set(dir(builtins)) | set(keyword.kwlist)
    names = CALLED.findall(text.partition("\n")[0])
    return any(name not in known and not index.has_word(name) for name in names)


def written_again(model: str, instances: Iterable[Instance]) -> Iterator[dict[str, Any]]:
    """Yield what a model suggests at some instances with the check and without."""
    engine = Engine.open(EngineOptions(model, persist=False, threads=1))
    for instance in instances:
        assert instance.tree is not None
        repository = engine.fork()
        for path, text in texts_of(instance.tree).items():
            for _ in repository.remember(path, instance.opened if path == instance.file else text):
                pass
        request = CompletionRequest(
            instance.file,
            instance.before,
            instance.after,
            timeout_ms=3_600_000,
            repository=instance.repository,
        )
        unchecked = repository.complete(request, lambda: False)
        checked = repository.complete(replace(request, existing_names=True), lambda: False)
        repository.release()
        row = {
            "instance": instance.id,
            "wanted": instance.answer,
            "unchecked": unchecked.text,
            "checked": checked.text,
            "stop_reason": checked.stop_reason,
            "probability": round(checked.probability, 3),
            "right": score(checked.text, instance.answer).right,
            "edit_similarity": [
                round(score(text, instance.answer).edit_similarity, 2)
                for text in (unchecked.text, checked.text)
            ],
        }
        print(json.dumps(row), file=sys.stderr, flush=True)
        yield row


class Counted:
    """Counts what the check refuses, and the time that it takes."""

    def __init__(self, instances: Mapping[str, Instance]) -> None:
        self._instances = instances
        self._indices = dict[Path, DefinitionIndex]()
        self.counts = Counter[str]()
        self.times = list[float]()
        """Milliseconds of each check."""
        self.refused = dict[str, Instance]()

    def count(self, row: Mapping[str, Any], *, shows: bool) -> None:
        """Count one result: its right answer, and what was suggested, if anything was."""
        instance = self._instances.get(row["instance"])
        if instance is None or row["error"] is not None:
            return
        self.counts["answers refused"] += self._check(instance, row["wanted"]) is not None
        self.counts["answers"] += 1
        if row["suggestion"]:
            self._count_suggestion(instance, row, shows=shows)

    def _count_suggestion(self, instance: Instance, row: Mapping[str, Any], *, shows: bool) -> None:
        text, kind = row["suggestion"], "right" if row["right"] else "wrong"
        self.counts[kind] += 1
        found = self._check(instance, text)
        at_large = is_invented(self._index_for(instance), instance, text)
        self.counts[f"{kind} refused"] += found is not None
        self.counts[f"{kind} invented at large"] += at_large
        if found is not None:
            self.refused[instance.id] = instance
        if found is not None and shows:
            print(kind, row["instance"], found, text, "|", row["wanted"])

    def _check(self, instance: Instance, text: str) -> MissingName | None:
        index = self._index_for(instance)
        began = time.perf_counter()
        found = missing_name(index, instance.file, instance.before, text, instance.after)
        self.times.append(1000 * (time.perf_counter() - began))
        return found

    def _index_for(self, instance: Instance) -> DefinitionIndex:
        assert instance.tree is not None
        if instance.tree not in self._indices:
            self._indices[instance.tree] = index_of(instance.tree)
        self._indices[instance.tree].put(instance.file, instance.opened)
        return self._indices[instance.tree]


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--show", action="store_true", help="print each suggestion that is refused")
    parser.add_argument("--again", help="name of the model that writes those again")
    options = parser.parse_args()
    counted = Counted({one.id: one for one in load(options.data)})
    for file in options.results:
        for row in rows(file):
            counted.count(row, shows=options.show)
    report: dict[str, Any] = {
        **counted.counts,
        "ms_median": round(statistics.median(counted.times), 2),
        "ms_95_percent": round(statistics.quantiles(counted.times, n=20)[-1], 2),
    }
    if options.again:
        report["again"] = list(written_again(options.again, counted.refused.values()))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
