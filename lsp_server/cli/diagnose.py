"""``longllama-lsp diagnose``: check what may keep the server from working."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from lsp_server.cli.options import (
    Command,
    add_query_options,
    settings_from,
)
from lsp_server.reasons import reason_of
from lsp_server.settings.configuration import Configuration, repository_settings
from lsp_server.status.diagnosis import Check, as_lines, diagnose, worst


def configure(parser: Command) -> None:
    """Add the options of ``diagnose``."""
    add_query_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the result of all checks, and return the exit code."""
    configuration = Configuration(settings_from(options))
    root = options.root.absolute()
    problems: list[object] = []
    try:
        repository = repository_settings([root])
        configuration.set_repository(repository.values)
        problems.append(repository.problem)
    except Exception as error:  # this command names what is wrong, whatever it is
        problems.append(f"the settings of {root} are not read: {reason_of(error)}")
    checks = diagnose(configuration.settings, [root], _n_folders(root))
    for problem in [*problems, *configuration.problems]:
        if problem is not None:
            checks.append(Check("settings", "warning", str(problem), "correct it."))
    if options.json:
        print(json.dumps([asdict(check) for check in checks]))
    else:
        print("\n".join(as_lines(checks)))
    return 1 if worst(checks) == "error" else 0


def _n_folders(root: Path) -> int:
    """Count the folders at and below a root; without recursion, which deep ones would exceed."""
    n_folders, waiting = 0, [str(root)]
    while waiting:
        n_folders += 1
        try:
            with os.scandir(waiting.pop()) as items:
                waiting += [item.path for item in items if item.is_dir(follow_symlinks=False)]
        except OSError:
            continue
    return n_folders
