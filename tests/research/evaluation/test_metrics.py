"""Figures of completed lines: bounded, perfect for the line itself, and moved by what they name."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.errors import ConfigError
from longllama_code.research.evaluation.completion.metrics import METRICS, identifiers, score

LINES = st.text(st.sampled_from("ab_1 =(),.é\t"), max_size=30) | st.text(max_size=30)


@given(LINES, LINES)
def test_figures_are_shares_and_symmetric(one: str, other: str) -> None:
    figures = score(one, other)
    assert tuple(figures) == METRICS
    assert all(0 <= value <= 1 for value in figures.values())
    assert figures == pytest.approx(score(other, one))


@given(LINES)
def test_a_line_is_like_itself(line: str) -> None:
    assert set(score(line, line).values()) == {1.0}
    assert score(f"  {line}\t", line) == score(line, line)


@given(LINES, LINES)
def test_an_exact_match_is_the_only_perfect_one(one: str, other: str) -> None:
    figures = score(one, other)
    assert (figures["exact_match"] == 1) == (one.strip() == other.strip())
    assert (figures["exact_match"] == 1) == (figures["edit_similarity"] == 1)
    assert figures["identifier_f1"] >= figures["identifier_match"] >= figures["exact_match"]


def test_figures_move_apart() -> None:
    assert score("total = add(a, b)", "total = add(a, c)") == {
        "exact_match": 0.0,
        "edit_similarity": pytest.approx(1 - 2 / 34),
        "identifier_match": 0.0,
        "identifier_f1": pytest.approx(3 / 4),
    }
    figures = score("total=add(a, b)", "total = add(a, b)")
    assert (figures["exact_match"], figures["identifier_match"]) == (0, 1)
    figures = score("", "x = 1")
    assert set(figures.values()) == {0.0}


def test_a_name_counts_as_often_as_it_stands_there() -> None:
    assert identifiers("é1 = x(x, 2)") == ["é1", "x", "x"]
    assert score("x", "x(x)")["identifier_f1"] == pytest.approx(2 / 3)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    with pytest.raises(ConfigError, match="pip install"):
        score("a", "b")
