"""Which cursors are worth a suggestion, and what of one is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.settings.declarations import Trigger
from lsp_server.suggestions.closers import trim_overlap
from lsp_server.suggestions.filters import refuse_trigger


@pytest.mark.parametrize(
    ("line_suffix", "reason"),
    [
        ("", None),
        ("   ", None),
        (")", None),
        (")]}, ;", None),
        ('")))))))))', None),
        (" # a b", None),
        (" # a comment", "inside_line"),
        ("bar", "inside_word"),
        ("_", "inside_word"),
        ("7", "inside_word"),
        ("é", "inside_word"),
        (" = y", None),
    ],
)
def test_where_typing_asks(line_suffix, reason):
    assert refuse_trigger("x", line_suffix, Trigger()) == reason
    assert refuse_trigger("x", line_suffix, Trigger(mode="manual")) == "manual_mode"


def test_places_that_settings_let_typing_ask_at_or_not():
    assert refuse_trigger("fo", "o", Trigger(inside_word=True)) is None
    assert refuse_trigger("f(x)", "", Trigger()) is None
    quiet = Trigger(after_closing_bracket=False)
    refused = [refuse_trigger(text, "", quiet) for text in ("f(x)", "a[0]", "{}", "f(", "f(x) ")]
    assert refused == ["after_bracket"] * 3 + [None] * 2


@pytest.mark.parametrize(
    ("text", "line_suffix", "shown"),
    [
        ("get(key))", ")", "get(key)"),
        ("get(key)", ")", "get(key)"),
        ("get(key)", "", "get(key)"),
        ("a, b])", "])", "a, b"),
        ("a, b])", "])  ", "a, b"),
        ("'x'", "'", "'x"),
        ("{1: 2}", "}", "{1: 2}"),
        (")", ")", ""),
        ("x + y", " + y * z", "x"),
        ("a\nb)", ")", "a\nb)"),
        ("f(x", "y)", "f(x"),
    ],
)
def test_trim_overlap(text, line_suffix, shown):
    assert trim_overlap(text, line_suffix) == shown


snippets = st.text(alphabet="ab()[]{} '", max_size=12)


@given(snippets, snippets)
def test_what_is_trimmed_stands_behind_the_cursor(text, line_suffix):
    shown = trim_overlap(text, line_suffix)
    assert text.startswith(shown)
    assert line_suffix.startswith(text[len(shown) :])


@given(snippets, snippets)
def test_no_duplicate_is_left_but_for_a_bracket_of_its_own(text, line_suffix):
    """However much of the end the line repeats, it goes; unless that tears a pair apart."""
    shown = trim_overlap(text, line_suffix)
    suffix = line_suffix.rstrip()
    for kept in (text[:end] for end in range(len(shown))):
        if suffix.startswith(text[len(kept) :]):
            closers = set(text[len(kept) :]) & set(")]}")
            pairs = dict(zip(")]}", "([{", strict=True))
            assert any(kept.count(pairs[c]) > kept.count(c) for c in closers)
