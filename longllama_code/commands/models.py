"""``longllama models``: the models that have a name."""

from __future__ import annotations

import argparse

from longllama_code.catalog import CATALOG


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    models = commands.add_parser("models", help="list the models that have a name")
    models.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    for spec in CATALOG.values():
        licence = f" ({spec.licence})" if spec.licence else ""
        print(f"{spec.name:17} {spec.summary}{licence}")
    return 0
