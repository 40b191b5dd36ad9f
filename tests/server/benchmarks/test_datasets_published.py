"""All published benchmarks that have a reader."""

import pytest

from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS, load


def test_every_benchmark_has_a_reader_that_refuses_what_is_no_data(tmp_path):
    assert list(BENCHMARKS) == ["crosscodeeval", "repoeval", "repobench", "longcodearena", "safim"]
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name
        with pytest.raises(ValueError, match=str(tmp_path)):
            list(load(name, tmp_path))
        with pytest.raises(ValueError, match="absent"):
            list(load(name, tmp_path / "absent"))
    with pytest.raises(ValueError, match="'humaneval' is no benchmark; known: crosscodeeval, "):
        load("humaneval", tmp_path)
