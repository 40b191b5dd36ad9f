"""A small benchmark on disk."""

import json

import pytest

from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS
from tests.server.benchmarks.small_benchmark import ANSWERS, SHAPES, USES, row_of


@pytest.fixture
def data(tmp_path):
    """A rebuilt benchmark: one repository of two files, two answers in one of them."""
    folder = tmp_path / "data"
    tree = folder / "repos" / "someone-shapes-1234567"
    tree.mkdir(parents=True)
    (tree / "uses.py").write_text(USES)
    (tree / "shapes.py").write_text(SHAPES)
    marks = ({"published_3b": True, "published_14b": True}, {"published_3b": None})
    rows = [row_of(USES, answer, **mark) for answer, mark in zip(ANSWERS, marks, strict=True)]
    (folder / "instances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def instances(data):
    return list(BENCHMARKS["crosscodeeval"].load(data))
