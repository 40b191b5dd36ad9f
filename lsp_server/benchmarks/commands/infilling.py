"""``longllama-lsp bench crosscodeeval`` and its like: text that is asked for once at a cursor."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from longllama_code.model_sources.default_model import chosen_model
from lsp_server.benchmarks.commands.options import (
    Json,
    Setup,
    add_common_options,
    described,
    merged,
    positive,
    setup,
    system_options,
)
from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS, Benchmark
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.infilling.rows import Key, Row, RowFile
from lsp_server.benchmarks.infilling.run import RepositoryRun
from lsp_server.benchmarks.reporting.machine import commit
from lsp_server.benchmarks.systems.conditions import (
    FILE,
    Condition,
    SystemOptions,
    open_conditions,
)
from lsp_server.benchmarks.workspaces.training_cutoff import TrainingData, training_data

SETTINGS: Json = {"completion": {"candidates": 1, "ahead": False}}
"""One suggestion is scored."""
DESCRIPTION = (
    "every condition is asked once at every cursor; suggestions are scored against the "
    "benchmark's answers, which are nowhere in what is asked."
)
Workspace = tuple[str, str]
"""Repository and snapshot of instances that have one workspace."""


@dataclass(frozen=True)
class Work:
    """Instances to run, and how."""

    instances: Sequence[Instance]
    """All instances of the data. The answers of those that do not run are removed as well."""
    chosen: Sequence[Instance]
    conditions: Sequence[str]
    systems: SystemOptions
    folder: Path
    """Parent folder of workspaces."""
    blank: Row
    """Row with the fields that all rows have in common."""
    training: TrainingData
    measures_delays: bool

    @property
    def keys(self) -> set[Key]:
        """Keys of the rows that a complete run has."""
        return {(each.id, condition) for condition in self.conditions for each in self.chosen}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options of one benchmark's command."""
    benchmark = BENCHMARKS[name]
    parser.add_argument("data", type=Path, metavar="DATA", help=benchmark.data)
    add_common_options(parser, name)
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="maximum number of instances, spread over the repositories (default: all)",
    )
    parser.add_argument(
        "--part",
        type=_part,
        default=(0, 1),
        metavar="I/N",
        help="run the I-th of N parts, from 0; processes with one part each may share FILE",
    )
    parser.add_argument(
        "--no-delays",
        action="store_true",
        help="do not measure, at one instance of each repository, the delay after one more key, "
        "and after a change of another file",
    )
    parser.set_defaults(run=partial(run, benchmark))


def run(benchmark: Benchmark, options: argparse.Namespace) -> int:
    """Run what has no answer yet, write the summary, print its tables; return the exit code."""
    from lsp_server.benchmarks.infilling.plot import plot  # these import numpy and matplotlib
    from lsp_server.benchmarks.infilling.summary import summarise
    from lsp_server.benchmarks.infilling.tables import as_markdown

    given = setup(options, SETTINGS)
    instances = list(benchmark.load(options.data))
    _check_repositories(instances, options.conditions)
    rows = RowFile(options.output.with_suffix(".jsonl"), given.about)
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        work = _work(options, given, instances, Path(name))
        asyncio.run(_run_all(work, rows))
    summary = summarise([*rows.rows().values()], instances, described(given, benchmark.title))
    options.output.write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    tables = as_markdown(summary)
    options.output.with_suffix(".md").write_text(tables, "utf-8")
    plot(summary, options.output.with_suffix(".svg"))
    print(tables)
    return 0


def _work(
    options: argparse.Namespace, given: Setup, instances: Sequence[Instance], folder: Path
) -> Work:
    cache = options.cache or folder / "cache"
    settings = merged(given.settings, {"memory": {"cacheDir": str(cache.absolute())}})
    return Work(
        instances,
        choose(instances, options.limit, options.part),
        options.conditions,
        replace(system_options(options, given, settings), asks_ahead=False),
        folder,
        Row("", "", "", commit()),
        training_data(chosen_model(given.about["model"]).name),
        not options.no_delays,
    )


async def _run_all(work: Work, rows: RowFile) -> None:
    """Run every condition of every repository, except for what was answered before.

    Raises:
        RuntimeError: the model cannot be run.
    """
    answered = {key for key, row in rows.rows().items() if row.error is None}
    recorder = _Recorder(rows, len(work.keys), len(answered & work.keys))
    waiting = {condition for _, condition in work.keys - answered}
    if not waiting:
        return
    empty = work.folder / "empty"
    empty.mkdir()
    names = [name for name in work.conditions if name in waiting]
    async with open_conditions(names, work.systems, empty) as conditions:
        for condition in conditions:
            for chosen in by_workspace(work.chosen).values():
                todo = [each for each in chosen if (each.id, condition.name) not in answered]
                await _run_repository(work, condition, todo, recorder)


async def _run_repository(
    work: Work, condition: Condition, todo: Sequence[Instance], recorder: "_Recorder"
) -> None:
    """Run some instances of a repository, in a folder as somebody has it who cloned it."""
    if not todo:
        return
    name = todo[0].clone or todo[0].repository
    others = [each for each in work.instances if _workspace(each) == _workspace(todo[0])]
    with tempfile.TemporaryDirectory(dir=work.folder) as parent:
        folder = Path(parent, name)
        await RepositoryRun(
            condition,
            others,
            folder,
            work.blank,
            recorder.add,
            work.training,
            measures_delays=work.measures_delays,
        ).run(todo)


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
    """Return the instances to run, taken from each workspace in turn.

    A part has whole workspaces, so that each is encoded once.

    Args:
        instances: all instances.
        limit: maximum number of instances; None for no limit.
        part: number of the part, from 0, and of all parts.
    """
    groups = sorted(by_workspace(instances).values(), key=len, reverse=True)
    index, n_parts = part
    mine = groups[index::n_parts]
    rounds = max(map(len, mine), default=0)
    found = [group[number] for number in range(rounds) for group in mine if len(group) > number]
    return found[:limit]


def by_workspace(instances: Sequence[Instance]) -> dict[Workspace, list[Instance]]:
    """Group instances by repository and snapshot, with those of one file together."""
    found: dict[Workspace, list[Instance]] = {}
    for instance in instances:
        found.setdefault(_workspace(instance), []).append(instance)
    for group in found.values():
        order = {name: index for index, name in enumerate(dict.fromkeys(i.file for i in group))}
        group.sort(key=lambda instance: order[instance.file])
    return found


def _workspace(instance: Instance) -> Workspace:
    return instance.repository, instance.snapshot


def _check_repositories(instances: Sequence[Instance], conditions: Sequence[str]) -> None:
    """Raise an error if the data lacks repositories that a condition needs."""
    missing = next((each for each in instances if not each.has_repository), None)
    if {*conditions} - {FILE} and missing is not None:
        raise ValueError(
            f"the data has no files of {missing.repository!r}. Give --conditions file, or the "
            "folder of data that was rebuilt from its repositories."
        )


def _part(text: str) -> tuple[int, int]:
    index, _, n_parts = text.partition("/")
    if not (index.isdecimal() and n_parts.isdecimal() and int(index) < int(n_parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write I/N, I from 0 to N - 1")
    return int(index), int(n_parts)
