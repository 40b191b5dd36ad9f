"""The published benchmarks that can be read, by name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lsp_server.benchmarks.datasets import (
    cross_code_eval,
    long_code_arena,
    repo_bench,
    repo_eval,
    safim,
)
from lsp_server.benchmarks.datasets.instance import Instance


@dataclass(frozen=True)
class Benchmark:
    """A published benchmark of code completion, and its reader."""

    name: str
    """Name on the command line."""
    title: str
    paper: str
    """Number of the paper on arXiv."""
    data: str
    """What to give as data."""
    published: date
    """Day on which the data was published, at the latest: that of the paper or the release."""
    load: Callable[[Path], Iterable[Instance]]
    """Yields the instances of a file or folder; raises ValueError, which names file and row."""


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "crosscodeeval",
            "CrossCodeEval",
            "2310.11248",
            "folder of a rebuilt CrossCodeEval (instances.jsonl, repos/), or the published "
            "line_completion.jsonl of a language",
            date(2023, 10, 17),
            cross_code_eval.load,
        ),
        Benchmark(
            "repoeval",
            "RepoEval",
            "2303.12570",
            "line_level_completion_….jsonl or api_level_completion_….jsonl, with "
            "repositories/line_and_api_level beside it or beside its folder",
            date(2023, 3, 22),
            repo_eval.load,
        ),
        Benchmark(
            "repobench",
            "RepoBench v1.1",
            "2306.03091",
            "Parquet or JSON lines of a split (cross_file_first, cross_file_random, in_file), or "
            "their folder",
            date(2024, 2, 5),
            repo_bench.load,
        ),
        Benchmark(
            "longcodearena",
            "Long Code Arena, project-level code completion",
            "2406.11612",
            "Parquet or JSON lines of a context size (small, medium, large, huge), or their folder",
            date(2024, 6, 17),
            long_code_arena.load,
        ),
        Benchmark(
            "safim",
            "SAFIM",
            "2403.04814",
            "JSON lines of a split, such as block_completion.jsonl.gz",
            date(2024, 3, 7),
            safim.load,
        ),
    )
}


def load(name: str, data: Path) -> Iterable[Instance]:
    """Return the instances of a benchmark, in their order; they may not all fit into memory.

    Args:
        name: one of `BENCHMARKS`.
        data: file or folder.

    Raises:
        ValueError: the name is unknown, or, maybe while iterating, the data is broken.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"{name!r} is no benchmark; known: {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name].load(data)
