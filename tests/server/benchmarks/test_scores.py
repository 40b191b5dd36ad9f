"""Scores of suggestions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.infilling.scores import first_line, identifiers, score


@pytest.mark.parametrize(
    ("suggestion", "answer", "right", "similarity", "names", "f1"),
    [
        ("run(x)", "run(x)", 1, 1.0, 1, 1.0),
        ("  run(x)  \nrun(y)", "run(x)", 1, 1.0, 1, 1.0),  # the first line, blanks aside
        ("\n\n    run(x)\n", "run(x)", 1, 1.0, 1, 1.0),
        ("run( x)", "run(x)", 0, 12 / 13, 1, 1.0),  # blanks inside count
        ("", "run(x)", 0, 0.0, 0, 0.0),
        ("run(y)", "run(x)", 0, 10 / 12, 0, 0.5),
        ("f(a, b)", "f(b, a, c)", 0, 2 * 6 / 17, 0, 2 * 3 / 7),
        ("abcd", "bcde", 0, 0.75, 0, 0.0),
    ],
)
def test_scores_are_as_counted_by_hand(suggestion, answer, right, similarity, names, f1):
    found = score(suggestion, answer)
    assert (found.right, found.identifier_match) == (right, names)
    assert found.edit_similarity == pytest.approx(similarity)
    assert found.identifier_f1 == pytest.approx(f1)


def test_identifiers_are_neither_keywords_nor_words_of_strings_and_comments():
    assert identifiers('return f(\'a b\', "c\\" d", x1) if y else None  # why') == ["f", "x1", "y"]
    assert identifiers("größe(über) // was") == ["größe", "über"]


@given(st.text(), st.text())
def test_scores_lie_between_nothing_and_all(suggestion, answer):
    found = score(suggestion, answer)
    for value in vars(found).values():
        assert 0 <= value <= 1
    if first_line(suggestion) == first_line(answer):
        assert set(vars(found).values()) == {1.0}


def test_identifiers_are_no_keywords_of_their_language():
    line = "return new List<string>(items)"
    assert identifiers(line, "csharp") == ["List", "items"]
    assert identifiers(line, "java") == ["List", "string", "items"]
    assert identifiers("x is None", "cobol") == ["x", "is", "None"]
