"""``longllama-lsp bench crosscodeeval``: run CrossCodeEval on the real server.

Its instances ask for the rest of a line that uses something from another file of the repository.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lsp_server.benchmarks.instances import Instance, load
from lsp_server.benchmarks.machine import commit, machine, weights_digest
from lsp_server.benchmarks.rows import Key, Row, RowFile
from lsp_server.benchmarks.server_run import CONDITIONS, Condition, run_instances
from lsp_server.clients.headless import headless

Json = dict[str, Any]

SETTINGS: Json = {
    "completion": {"candidates": 1, "ahead": False, "timeoutMs": 600_000},
    "engine": {"shared": True, "idleMs": 0},
    "indexing": {"pauseOnBattery": False},
    "model": {"hangTimeoutMs": 600_000},
}
"""Settings of every run. One suggestion is scored, and a slow machine has time to finish it.
Servers share an engine one after another; their cache folder keeps it apart from any other."""


@dataclass(frozen=True)
class Run:
    """Instances to run, and how."""

    instances: Sequence[Instance]
    """All instances of the data. The answers of those that do not run are removed as well."""
    chosen: Sequence[Instance]
    conditions: Sequence[Condition]
    settings: Json
    folder: Path
    """Parent folder of workspaces."""
    blank: Row
    """Row with the fields that all rows have in common."""

    @property
    def keys(self) -> set[Key]:
        """Keys of the rows that a complete run has."""
        return {(each.id, condition) for condition in self.conditions for each in self.chosen}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a rebuilt CrossCodeEval's folder")
    parser.add_argument(
        "--conditions",
        "--arms",
        type=_conditions,
        default=CONDITIONS,
        help="file, repository, or file,repository (the default)",
    )
    parser.add_argument("--model", help="name of a model, or its file or folder")
    parser.add_argument("--output", type=Path, default=Path("crosscodeeval.json"), metavar="FILE")
    parser.add_argument(
        "--cache", type=Path, help="folder of encoded segments (default: a temporary one)"
    )
    parser.add_argument(
        "--limit", type=int, help="maximum number of instances, spread over the repositories"
    )
    parser.add_argument(
        "--part", type=_part, default=(0, 1), help="I/N: run the I-th of N parts, from 0"
    )
    parser.add_argument(
        "--settings", type=_object, default={}, help="settings of the server, as JSON"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run what has no answer yet, write the summary, print its tables; return the exit code."""
    from lsp_server.benchmarks.summary import as_markdown, summarise  # it imports numpy

    instances = load(options.data)
    _check_trees(instances, options.conditions)
    given = merged(SETTINGS, options.settings)
    if options.model:
        given = merged(given, {"model": {"path": options.model}})
    model = str(given.get("model", {}).get("path", "the default"))
    about: Json = {"model": model, "weights_sha256": weights_digest(model), "settings": given}
    rows = RowFile(options.output.with_suffix(".jsonl"), about)
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        cache = options.cache or Path(name, "cache")
        settings = merged(given, {"memory": {"cacheDir": str(cache.absolute())}})
        chosen = choose(instances, options.limit, options.part)
        blank = Row("", "", "", commit())
        work = Run(instances, chosen, options.conditions, settings, Path(name), blank)
        asyncio.run(_run_all(work, rows))
    summary = summarise([*rows.rows().values()], instances, {**about, "machine": machine()})
    options.output.write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    print(as_markdown(summary))
    return 0


async def _run_all(work: Run, rows: RowFile) -> None:
    """Run every condition of every repository, except for what was answered before.

    Meanwhile a server of an empty folder keeps the shared engine from ending.

    Raises:
        RuntimeError: the model cannot be run.
    """
    answered = {key for key, row in rows.rows().items() if row.error is None}
    recorder = _Recorder(rows, len(work.keys), len(answered & work.keys))
    if recorder.n_done == recorder.n_all:
        return
    folder = work.folder / "empty"
    folder.mkdir()
    async with headless(folder, work.settings) as keeper:
        await keeper.wait_until_indexed()
        for condition in work.conditions:
            for repository, chosen in by_repository(work.chosen).items():
                todo = [each for each in chosen if (each.id, condition) not in answered]
                await _run_repository(work, condition, repository, todo, recorder)


async def _run_repository(
    work: Run,
    condition: Condition,
    repository: str,
    todo: Sequence[Instance],
    recorder: "_Recorder",
) -> None:
    """Run some instances of a repository, in a folder with its name."""
    if not todo:
        return
    others = [each for each in work.instances if each.repository == repository]
    with tempfile.TemporaryDirectory(dir=work.folder) as parent:
        folder = Path(parent, repository)
        await run_instances(
            condition, todo, others, folder, work.settings, work.blank, recorder.add
        )


class _Recorder:
    """Writes rows to the file, and prints progress."""

    def __init__(self, rows: RowFile, n_all: int, n_done: int) -> None:
        self.n_all, self.n_done = n_all, n_done
        self._rows = rows
        self._right: dict[str, list[float]] = {}

    def add(self, row: Row) -> None:
        """Write a row."""
        self._rows.add(row)
        self.n_done += 1
        right = self._right.setdefault(row.condition, [])
        right.append(row.right)
        outcome = row.error or f"{row.seconds:.2f} s, {sum(right) / len(right):.3f} right so far"
        line = (
            f"{self.n_done}/{self.n_all} {row.condition} {row.repository} {row.instance}: {outcome}"
        )
        print(line, file=sys.stderr, flush=True)


def choose(
    instances: Sequence[Instance], limit: int | None, part: tuple[int, int]
) -> list[Instance]:
    """Return the instances to run, taken from each repository in turn.

    A part has whole repositories, so that each is encoded once.

    Args:
        instances: all instances.
        limit: maximum number of instances; None for no limit.
        part: number of the part, from 0, and of all parts.
    """
    groups = sorted(by_repository(instances).values(), key=len, reverse=True)
    index, n_parts = part
    mine = groups[index::n_parts]
    rounds = max(map(len, mine), default=0)
    found = [group[number] for number in range(rounds) for group in mine if len(group) > number]
    return found[:limit]


def by_repository(instances: Sequence[Instance]) -> dict[str, list[Instance]]:
    """Group instances by repository, with those of one file together."""
    found: dict[str, list[Instance]] = {}
    for instance in instances:
        found.setdefault(instance.repository, []).append(instance)
    for group in found.values():
        order = {name: index for index, name in enumerate(dict.fromkeys(i.file for i in group))}
        group.sort(key=lambda instance: order[instance.file])
    return found


def merged(defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> Json:
    """Return defaults overridden by settings, group by group."""
    found = dict(defaults)
    for key, value in settings.items():
        before = found.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        found[key] = merged(cast("Json", before), cast("Json", value)) if both else value
    return found


def _check_trees(instances: Sequence[Instance], conditions: Sequence[Condition]) -> None:
    """Raise an error if the data lacks repositories that a condition needs."""
    missing = next((each for each in instances if each.tree is None), None)
    if "repository" in conditions and missing is not None:
        raise ValueError(
            f"the data has no files of {missing.repository!r}, as published data never has. "
            "Give --conditions file, or the folder of a rebuilt CrossCodeEval."
        )


def _conditions(text: str) -> tuple[Condition, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in CONDITIONS]:
        known = ", ".join(CONDITIONS)
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no condition; known: {known}")
    return cast("tuple[Condition, ...]", names)


def _part(text: str) -> tuple[int, int]:
    index, _, n_parts = text.partition("/")
    if not (index.isdecimal() and n_parts.isdecimal() and int(index) < int(n_parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write I/N, I from 0 to N - 1")
    return int(index), int(n_parts)


def _object(text: str) -> Json:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return cast("Json", value)
