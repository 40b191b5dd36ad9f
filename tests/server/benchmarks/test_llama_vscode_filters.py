"""What llama.vscode drops of an answer. Expected results are those of its own source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.systems.llama_vscode_filters import (
    answer_lines,
    fitted,
    is_discarded,
    without_indentation,
)
from lsp_server.benchmarks.systems.llama_vscode_prompt import cursor_at


def discards(answer: str, document: str) -> bool:
    """Whether an answer at the ``|`` of a document is discarded."""
    cursor = cursor_at(document.replace("|", ""), document.index("|"))
    return is_discarded(answer_lines(answer), cursor)


@pytest.mark.parametrize(
    ("answer", "document"),
    [
        ("", "a\n|"),
        (" \n\t\n", "a\n|\nb"),
        (")", "f(|)\nb"),
        ("\nb\nc", "a|\nb\nc\nd"),
        (")\nb", "f(|)\nb\nc"),
        ("b", "|\n\nb\nc"),
        ("y", "x|\n\nxy\nc"),
        ("b\nc", "|\nb\ncd"),
        ("b\nc\nd", "|\nb\nc\nd\ne"),
        ("\nb\nc", "a|\nb"),  # VS Code raises an error at the document's end
        ("b\nc", "|\nb"),
    ],
)
def test_an_empty_or_repeated_answer_is_discarded(answer: str, document: str):
    assert discards(answer, document)


@pytest.mark.parametrize(
    ("answer", "document"),
    [
        ("b", "a\n|"),
        ("b", "b\n|"),
        ("b", "a|\nc"),
        ("b", "|\n\n \n"),
        ("\nb\nx", "a|\nb\nc\nd"),
        ("b\nx", "|\nb\nc"),
        ("b\nc\nx", "|\nb\nc\nd"),
        ("xb", "x|\nb\nc"),
        (")x", "f(|)\nb"),
    ],
)
def test_a_new_answer_is_kept(answer: str, document: str):
    assert not discards(answer, document)


def test_blank_lines_at_an_answers_end_go():
    assert answer_lines("a\r\n\n b\n \n\n") == ["a", "", " b"]


@pytest.mark.parametrize(
    ("answer", "line_suffix", "shown"),
    [
        ("a\nb", "", "a\nb"),
        ("a\nb", "  ", "a\nb"),
        ("a)\nb", ")", "a"),
        ("a\nb", ")", "a"),
        ("a", ")", "a"),
        (")", ")", ""),
    ],
)
def test_an_answer_is_fitted_before_the_rest_of_its_line(answer: str, line_suffix: str, shown: str):
    assert fitted(answer_lines(answer), line_suffix) == shown


@given(st.text("a\t ", max_size=12), st.integers(0, 6))
def test_only_the_indentation_that_is_there_goes(text: str, n_chars: int):
    left = without_indentation(text, n_chars)
    assert text.endswith(left)
    gone = text[: len(text) - len(left)]
    assert not gone.strip(" \t")
    assert " " not in gone[n_chars:]
    assert not left.startswith("\t")
    assert not (left.startswith(" ") and len(gone) < n_chars)
