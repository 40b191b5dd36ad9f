"""``longllama-lsp bench typing``: commits of repositories, typed key by key."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from longllama_code.model_sources.default_model import chosen_model
from lsp_server.benchmarks.commands.options import (
    add_common_options,
    described,
    merged,
    positive,
    setup,
    system_options,
)
from lsp_server.benchmarks.git.directories import find_repositories
from lsp_server.benchmarks.reporting.machine import commit
from lsp_server.benchmarks.systems.conditions import SystemOptions, open_conditions
from lsp_server.benchmarks.typing.commits import MAX_CHARS, Choice, find_replays
from lsp_server.benchmarks.typing.person import POLICIES, Person
from lsp_server.benchmarks.typing.rhythm import Rhythm
from lsp_server.benchmarks.typing.rows import Row, RowFile
from lsp_server.benchmarks.typing.run import run_typing
from lsp_server.benchmarks.typing.session import Replay
from lsp_server.benchmarks.workspaces.training_cutoff import TrainingData, training_data

DESCRIPTION = (
    "A simulated person types what real commits added, key by key, into every condition, and "
    "accepts suggestions that are right: how many keys do they save, and how often do they "
    "interrupt? Times of the person are real ones."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        metavar="GIT_DIR",
        help="git directory or checkout, or a folder of them",
    )
    add_common_options(parser, "typing")
    parser.add_argument(
        "--sessions",
        type=positive,
        default=20,
        metavar="N",
        help="number of sessions, spread over the repositories (default: %(default)s)",
    )
    parser.add_argument(
        "--characters",
        type=positive,
        default=MAX_CHARS,
        metavar="N",
        help="maximum number of characters of a session (default: %(default)s)",
    )
    parser.add_argument(
        "--people",
        type=_policies,
        default=POLICIES,
        metavar="NAMES",
        help="what people accept: whole (suggestions right to their end), word (the first word, "
        "too), or both with a comma (the default)",
    )
    parser.add_argument(
        "--slowdown",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="how many times slower than usual the person types and reads (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="another number chooses other sessions (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Type what has no result yet, write the summary, print its tables; return the exit code.

    Raises:
        ValueError: no session can be made of these repositories.
    """
    from lsp_server.benchmarks.typing.plot import plot  # these import numpy and matplotlib
    from lsp_server.benchmarks.typing.summary import summarise
    from lsp_server.benchmarks.typing.tables import as_markdown

    rhythm = Rhythm(slowdown=options.slowdown)
    given = setup(options, {})
    choice = Choice(
        min_chars=min(Choice.min_chars, options.characters),
        max_chars=options.characters,
        seed=options.seed,
    )
    replays = find_replays(find_repositories(options.data), options.sessions, choice, _say)
    if not any(replay.sessions for replay in replays):
        raise ValueError(
            f"no commit of these repositories adds {choice.min_chars} characters of code in one "
            "place to a file that is there before. Give others, or fewer --characters."
        )
    about = {
        **given.about,
        "rhythm": rhythm.describe(),
        "choice": {"characters": options.characters, "seed": options.seed},
        "workspaces": {replay.repository.name: replay.base for replay in replays},
    }
    file = RowFile(options.output.with_suffix(".jsonl"), about)
    with tempfile.TemporaryDirectory(prefix="longllama-bench-") as name:
        cache = options.cache or Path(name, "cache")
        settings = merged(given.settings, {"memory": {"cacheDir": str(cache.absolute())}})
        systems = system_options(options, given, settings)
        people = [Person(policy, rhythm) for policy in options.people]
        training = training_data(chosen_model(given.about["model"]).name)
        asyncio.run(
            _type_all(replays, options.conditions, systems, people, file, Path(name), training)
        )
    rows = [*file.rows().values()]
    summary = summarise(rows, {**described(given, "Typing"), **about})
    options.output.write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    tables = as_markdown(summary)
    options.output.with_suffix(".md").write_text(tables, "utf-8")
    plot(summary, rows, options.output.with_suffix(".svg"))
    print(tables)
    return 0


async def _type_all(
    replays: Sequence[Replay],
    names: Sequence[str],
    systems: SystemOptions,
    people: Sequence[Person],
    rows: RowFile,
    folder: Path,
    training: TrainingData,
) -> None:
    """Type all sessions under all conditions.

    Raises:
        RuntimeError: a model cannot be run.
    """
    names = _waiting(replays, names, people, rows)
    if not names:
        return
    empty = folder / "empty"
    empty.mkdir()
    async with open_conditions(names, systems, empty) as conditions:
        blank = Row("", "", "", "", commit())
        await run_typing(replays, conditions, people, rows, folder, blank, _say, training)


def _waiting(
    replays: Sequence[Replay], names: Sequence[str], people: Sequence[Person], rows: RowFile
) -> list[str]:
    """Return the conditions under which a session has no result yet."""
    done = {key for key, row in rows.rows().items() if row.error is None}
    sessions = [session.id for replay in replays for session in replay.sessions]
    policies = [person.policy for person in people]
    return [name for name in names if {*product(sessions, [name], policies)} - done]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _policies(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in POLICIES]:
        known = ", ".join(POLICIES)
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no such person; known: {known}")
    return names
