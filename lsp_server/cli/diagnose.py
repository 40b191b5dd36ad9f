"""``longllama-lsp diagnose``: check what may keep the server from working."""

import argparse
import json
import os
from dataclasses import asdict

from lsp_server.cli.options import (
    Command,
    add_query_options,
    settings_from,
)
from lsp_server.diagnosis import Check, as_lines, diagnose, worst
from lsp_server.settings.configuration import Configuration, repository_settings


def configure(parser: Command) -> None:
    """Add the options of ``diagnose``."""
    add_query_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the result of all checks, and return the exit code."""
    configuration = Configuration(settings_from(options))
    root = options.root.absolute()
    repository = repository_settings([root])
    configuration.set_repository(repository.values)
    n_folders = sum(1 for _ in os.walk(root))
    checks = diagnose(configuration.settings, [root], n_folders)
    for problem in [repository.problem, *configuration.problems]:
        if problem is not None:
            checks.append(Check("settings", "warning", str(problem), "correct it."))
    if options.json:
        print(json.dumps([asdict(check) for check in checks]))
    else:
        print("\n".join(as_lines(checks)))
    return 1 if worst(checks) == "error" else 0
