"""``longllama-lsp bench crosscodeeval``: a published benchmark, asked of the real server.

CrossCodeEval asks for the rest of a line that uses something of another file of its repository.
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

from lsp_server.benchmarks.asking import ARMS, Arm, ask
from lsp_server.benchmarks.instances import Instance, load
from lsp_server.benchmarks.machine import commit, machine, weights_digest
from lsp_server.benchmarks.rows import Key, Row, RowFile
from lsp_server.clients.headless import headless

Json = dict[str, Any]

SETTINGS: Json = {
    "completion": {"candidates": 1, "ahead": False, "timeoutMs": 600_000},
    "engine": {"shared": True, "idleMs": 0},
    "indexing": {"pauseOnBattery": False},
    "model": {"hangTimeoutMs": 600_000},
}
"""One suggestion is judged; a machine that is slow or busy still writes it to its end. Servers that
follow each other share an engine, as windows do; nobody else's has the same cache folder."""


@dataclass(frozen=True)
class Run:
    """What is asked, of what, and where it goes."""

    instances: Sequence[Instance]
    """All that the data holds: the answers of those that are not asked for are cut out as well."""
    chosen: Sequence[Instance]
    arms: Sequence[Arm]
    settings: Json
    folder: Path
    """For workspaces."""
    blank: Row
    """What every row begins with."""

    @property
    def keys(self) -> set[Key]:
        """What there is to be a row of."""
        return {(each.id, arm) for arm in self.arms for each in self.chosen}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a rebuilt CrossCodeEval's folder")
    parser.add_argument("--arms", type=_arms, default=ARMS, help="of file,repository (both)")
    parser.add_argument("--model", help="name of a model, or its file or folder")
    parser.add_argument("--output", type=Path, default=Path("crosscodeeval.json"), metavar="FILE")
    parser.add_argument("--cache", type=Path, help="folder of encoded segments (a temporary one)")
    parser.add_argument("--limit", type=int, help="ask for so many, spread over the repositories")
    parser.add_argument("--part", type=_part, default=(0, 1), help="I/N: of N parts, the I-th")
    parser.add_argument("--settings", type=_object, default={}, help="the server's, as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask for what has no answer yet, write the report, print its tables; the exit code."""
    from lsp_server.benchmarks.summary import as_markdown, summarise  # it brings numpy

    instances = load(options.data)
    _refuse_trees_that_are_missing(instances, options.arms)
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
        work = Run(instances, chosen, options.arms, settings, Path(name), blank)
        asyncio.run(_ask_all(work, rows))
    summary = summarise([*rows.rows().values()], instances, {**about, "machine": machine()})
    options.output.write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    print(as_markdown(summary))
    return 0


async def _ask_all(work: Run, rows: RowFile) -> None:
    """Every arm of every repository, save for what was answered before.

    Meanwhile a server of an empty folder keeps the engine from ending with each of the others.

    Raises:
        RuntimeError: the model cannot be run.
    """
    answered = {key for key, row in rows.rows().items() if row.error is None}
    counter = _Counter(rows, len(work.keys), len(answered & work.keys))
    if counter.n_done == counter.n_all:
        return
    folder = work.folder / "empty"
    folder.mkdir()
    async with headless(folder, work.settings) as keeper:
        await keeper.wait_until_indexed()
        for arm in work.arms:
            for repository, chosen in by_repository(work.chosen).items():
                todo = [each for each in chosen if (each.id, arm) not in answered]
                await _ask_repository(work, arm, repository, todo, counter)


async def _ask_repository(
    work: Run, arm: Arm, repository: str, todo: Sequence[Instance], counter: "_Counter"
) -> None:
    """Ask for some instances of a repository, in a folder that has its name."""
    if not todo:
        return
    others = [each for each in work.instances if each.repository == repository]
    with tempfile.TemporaryDirectory(dir=work.folder) as place:
        folder = Path(place, repository)
        await ask(arm, todo, others, folder, work.settings, work.blank, counter.add)


class _Counter:
    """Writes rows down, and says how far the run is."""

    def __init__(self, rows: RowFile, n_all: int, n_done: int) -> None:
        self.n_all, self.n_done = n_all, n_done
        self._rows = rows
        self._right: dict[str, list[float]] = {}

    def add(self, row: Row) -> None:
        """Take a row."""
        self._rows.add(row)
        self.n_done += 1
        right = self._right.setdefault(row.arm, [])
        right.append(row.right)
        said = row.error or f"{row.seconds:.2f} s, {sum(right) / len(right):.3f} right so far"
        line = f"{self.n_done}/{self.n_all} {row.arm} {row.repository} {row.instance}: {said}"
        print(line, file=sys.stderr, flush=True)


def choose(
    instances: Sequence[Instance], limit: int | None, part: tuple[int, int]
) -> list[Instance]:
    """The instances to ask for: in rounds, one of each repository, so that a few are spread.

    A part has whole repositories, so that each is encoded once.
    """
    groups = sorted(by_repository(instances).values(), key=len, reverse=True)
    index, n_parts = part
    mine = groups[index::n_parts]
    rounds = max(map(len, mine), default=0)
    found = [group[number] for number in range(rounds) for group in mine if len(group) > number]
    return found[:limit]


def by_repository(instances: Sequence[Instance]) -> dict[str, list[Instance]]:
    """Instances by their repository; those of one file stay together."""
    found: dict[str, list[Instance]] = {}
    for instance in instances:
        found.setdefault(instance.repository, []).append(instance)
    for group in found.values():
        places = {name: place for place, name in enumerate(dict.fromkeys(i.file for i in group))}
        group.sort(key=lambda instance: places[instance.file])
    return found


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Json:
    """Settings in which those above count, group by group."""
    found = dict(below)
    for key, value in above.items():
        before = found.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        found[key] = merged(cast("Json", before), cast("Json", value)) if both else value
    return found


def _refuse_trees_that_are_missing(instances: Sequence[Instance], arms: Sequence[Arm]) -> None:
    missing = next((each for each in instances if each.tree is None), None)
    if "repository" in arms and missing is not None:
        raise ValueError(
            f"the data has no files of {missing.repository!r}: the published form names none. "
            "Give --arms file, or the folder of a rebuilt CrossCodeEval."
        )


def _arms(text: str) -> tuple[Arm, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in ARMS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no arm; known: {', '.join(ARMS)}")
    return cast("tuple[Arm, ...]", names)


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
