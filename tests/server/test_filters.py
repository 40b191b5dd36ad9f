"""Which cursors are worth a suggestion, and what of one is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.filters import refuse_trigger, trim_overlap


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
        ("bar", "inside_line"),
        ("_", "inside_line"),
        ("7", "inside_line"),
        ("é", "inside_line"),
        (" = y", None),
    ],
)
def test_where_typing_asks(line_suffix, reason):
    def refuse(automatic, auto_mode=True):
        return refuse_trigger(
            automatic=automatic, auto_mode=auto_mode, line_suffix=line_suffix, max_line_suffix=8
        )

    assert refuse(automatic=True) == reason
    assert refuse(automatic=True, auto_mode=False) == "manual_mode"
    assert refuse(automatic=False, auto_mode=False) is None


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
