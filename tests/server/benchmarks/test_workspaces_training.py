"""Whether code was public before a model was trained."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.model_sources.catalog import ALIASES, CATALOG
from lsp_server.benchmarks.workspaces.training_cutoff import (
    UNKNOWN,
    TrainingData,
    publication,
    training_data,
)

CODER = training_data("coder")


@pytest.mark.parametrize(
    "name",
    [
        "coder-0.5b",
        "coder-1.5b:int8",
        "Qwen/Qwen2.5-Coder-3B",
        "Qwen/Qwen2.5-Coder-3B@main",
        "/home/me/models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "C:\\models\\Qwen2.5-Coder-14B.gguf",
    ],
)
def test_a_family_is_known_by_every_name(name):
    assert training_data(name) is CODER


@pytest.mark.parametrize(
    "name", ["tiny", "auto", "", "my-model", "/models/qwen2.5-coder/mine.gguf", "encoder", "13b"]
)
def test_nothing_is_known_of_other_models(name):
    assert training_data(name) is UNKNOWN


def test_there_is_a_source_for_every_published_model_of_the_catalog():
    found = {name: training_data(name) for name in (*CATALOG, *ALIASES)}
    assert {name for name, data in found.items() if data is UNKNOWN} == {"tiny", "llama-2-7b-32k"}
    assert all(data.source for data in found.values())


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (date(2023, 6, 15), "before"),
        (date(2024, 1, 31), "before"),
        (date(2024, 2, 1), "unknown"),  # a repository's first day; what was added later may be in
        (date(2024, 11, 13), "unknown"),
        (date(2024, 11, 14), "after"),
        (None, "unknown"),
    ],
)
def test_code_is_marked_by_its_first_public_day(since, expected):
    assert publication(since, CODER) == expected


DAYS = st.dates(date(2020, 1, 1), date(2026, 1, 1))


@given(DAYS, st.none() | DAYS, st.none() | st.integers(0, 400))
def test_later_code_is_never_marked_earlier(since, until, n_days):
    last = None if n_days is None else (until or since) + timedelta(n_days)
    data = TrainingData(until, last, "")
    order = ("before", "unknown", "after")
    marks = [order.index(publication(since + timedelta(n), data)) for n in (0, 1, 30, 3000)]
    assert marks == sorted(marks)
    if until is None:
        assert publication(since, data) != "before"
    if last is None:
        assert publication(since, data) != "after"
