"""``longllama-lsp bench``: its benchmarks."""

import argparse

from lsp_server.benchmarks.commands import infilling, rebuild, typing
from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the benchmarks to the command's parser."""
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="NAME", required=True)
    for name, benchmark in BENCHMARKS.items():
        infilling.add_options(benchmarks.add_parser(name, help=benchmark.title), name)
    typing.add_options(benchmarks.add_parser("typing", help="commits, typed key by key"))
    rebuild.add_options(
        benchmarks.add_parser("rebuild", help="write CrossCodeEval's repositories from git's")
    )
