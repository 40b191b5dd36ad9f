"""What of a suggestion a request wants."""

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.http.asked import Asked, Cut, cut

TEXTS = st.text(alphabet="ab; \n\t", max_size=60)


def limits(**fields):
    return Asked(before="", after="", is_automatic=True, **fields)


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_a_text_ends_before_the_first_of_its_stops(text, stops):
    found = cut(text, limits(stops=tuple(stops)))
    assert text.startswith(found.text)
    assert not any(stop in found.text for stop in stops if stop)
    assert (found.text == text) == (not found.stopped_by) or found.stopped_by
    assert not found.stopped_by or text.startswith(found.text + found.stopped_by)


@given(TEXTS, st.integers(0, 6))
def test_further_lines_keep_their_indentation(text, n_indent):
    found = cut(text, limits(n_indent=n_indent)).text
    assert text.startswith(found)
    for line in found.split("\n")[1:]:
        assert not line.strip() or len(line) - len(line.lstrip(" \t")) >= n_indent


def test_a_line_that_is_indented_less_ends_the_text():
    text = "return 1\n\n    x = 2\n  y = 3"
    assert cut(text, limits(n_indent=4)) == Cut("return 1\n\n    x = 2")
    assert cut(text, limits()) == Cut(text)


def test_the_indentation_that_was_left_out_comes_first():
    assert cut("return 1", limits(indentation="    ")) == Cut("    return 1")
    assert cut("", limits(indentation="    ")) == Cut("")
    assert cut("x", limits(indentation="    ", stops=("x",))) == Cut("", "x")
