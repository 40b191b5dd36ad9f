"""A small benchmark on disk."""

import pytest

from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS
from tests.server.benchmarks.small_benchmark import write_benchmark


@pytest.fixture
def data(tmp_path):
    """A rebuilt benchmark: one repository of two files, two answers in one of them."""
    return write_benchmark(tmp_path / "data")


@pytest.fixture
def instances(data):
    return list(BENCHMARKS["crosscodeeval"].load(data))
