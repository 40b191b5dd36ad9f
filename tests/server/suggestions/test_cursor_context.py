"""The text around a cursor, and how two cursors of a document differ."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.suggestions.cursors import cursor


@pytest.mark.parametrize(
    ("marked", "word", "line_suffix"),
    [
        ("|", "", ""),
        ("x = foo_b|ar(1)\ny", "foo_b", "ar(1)"),
        ("foo.|", "", ""),
        ("a\r\nbé2|\r\nc", "bé2", ""),
        ("a\rb|c\rd", "b", "c"),
        ("x\ny|\n", "y", ""),
    ],
)
def test_what_stands_around_the_cursor(marked, word, line_suffix):
    assert (cursor(marked).word, cursor(marked).line_suffix) == (word, line_suffix)


@pytest.mark.parametrize(
    ("earlier", "later", "typed"),
    [
        ("x = |", "x = |", ""),
        ("x = |\ny", "x = te|\ny", "te"),
        ("a\r\nx = |\r\ny", "a\nx = t|\ny", "t"),
        ("x = |", "x =|", None),
        ("x = |", "y = t|", None),
        ("x = |", "x = t|)", None),
        ("x = |\ny", "x = f(|)\ny", "f("),
        ("x = f(|)\ny", "x = f(a)|\ny", "a)"),
        ("x = f(|)", 'x = f("|")', '"'),
        ("x = f(|)\ny", "x = f(a)|\nz", None),
        ("x = f(|) + y", "x = f(a)| + y", None),
        ("x = f(|)", "x = f(|", None),
    ],
)
def test_what_was_typed_between_two_cursors(earlier, later, typed):
    assert cursor(later).typed_since(cursor(earlier)) == typed
    assert cursor(later, uri="untitled:b").typed_since(cursor(earlier)) is None


@pytest.mark.parametrize(
    ("text", "was_typed_on"),
    [("f(x)", True), ("f()", False), ("f(", False), ("g(x)", False), ("f(x", False)],
)
def test_whether_more_text_stands_at_the_cursor(text, was_typed_on):
    assert cursor("f(|)").was_typed_on(text) is was_typed_on


def test_the_cursor_behind_a_suggestion_is_where_typing_goes_on():
    accepted = cursor("f(|)").after_accepting("x")
    assert (accepted.before, accepted.after, accepted.is_automatic) == ("f(x", ")", True)
    replacing = cursor("f(|) ").after_accepting("x):", 1)
    assert (replacing.before, replacing.after) == ("f(x):", " ")


def test_a_cursor_stays_as_it_was_when_the_request_came():
    here = cursor("x = |", language="go", uri="file:///a.go")
    assert (here.uri, here.language, here.version) == ("file:///a.go", "go", 1)
    with pytest.raises(FrozenInstanceError):
        here.before = "other"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(lines=st.lists(st.text("ab (é", max_size=5), min_size=1, max_size=4), data=st.data())
def test_every_end_of_a_line_ends_it(end, lines, data):
    number = data.draw(st.integers(0, len(lines) - 1))
    line = lines[number]
    column = data.draw(st.integers(0, len(line)))
    before = end.join([*lines[:number], line[:column]])
    after = end.join([line[column:], *lines[number + 1 :]])
    at, usual = cursor(f"{before}|{after}"), cursor(f"{before}|{after}".replace(end, "\n"))
    assert (at.line_prefix, at.line_suffix) == (line[:column], line[column:])
    assert (at.prefix, at.suffix, at.word) == (usual.prefix, usual.suffix, usual.word)


def test_a_comment_ends_with_its_line_whatever_ends_that():
    for end in ("\n", "\r\n", "\r"):
        assert not cursor(f"# a comment{end}x = |").is_in_comment
        assert cursor(f"x = 1{end}# a |").is_in_comment
