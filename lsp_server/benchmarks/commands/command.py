"""``longllama-lsp bench``: its benchmarks."""

import argparse

from lsp_server.benchmarks.commands import infilling, rebuild, typing
from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the benchmarks to the command's parser."""
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="NAME", required=True)
    for name, benchmark in BENCHMARKS.items():
        about = f"{benchmark.title} (arXiv {benchmark.paper})"
        parser = benchmarks.add_parser(
            name, help=about, description=f"{about}: {infilling.DESCRIPTION}"
        )
        infilling.add_options(parser, name)
    typing.add_options(
        benchmarks.add_parser(
            "typing", help="commits, typed key by key", description=typing.DESCRIPTION
        )
    )
    rebuild.add_options(
        benchmarks.add_parser(
            "rebuild",
            help="write the data of crosscodeeval from git directories",
            description=rebuild.DESCRIPTION,
        )
    )
