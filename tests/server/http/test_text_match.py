"""The text of a request in a file."""

import time

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.http.text_match import extended, n_found, runs_around, unix_lines

LINES = [f"def function_{number}(left, right, how={number}):" for number in range(400)]
TEXT = "\n".join(LINES) + "\n"


def around(line: int, above: int, below: int, typed: str = "") -> tuple[str, str]:
    """Text around the end of a line, as editors send it, after something was typed there."""
    before = "\n".join([*LINES[max(0, line - above) : line], LINES[line] + typed])
    return before, "\n" + "\n".join(LINES[line + 1 : line + 1 + below]) + "\n"


@given(
    st.integers(0, 399), st.integers(0, 300), st.integers(0, 300), st.sampled_from(["", " x", "\n"])
)
def test_a_text_is_given_what_is_above_and_below_it(line, above, below, typed):
    before, after = around(line, above, below, typed)
    whole_before, whole_after = extended(before, after, TEXT)
    assert whole_before.endswith(before)
    assert whole_after.startswith(after[:-1])
    expected = ("\n".join(LINES[: line + 1]) + typed, "\n" + "\n".join(LINES[line + 1 :]) + "\n")
    assert whole_before in (before, expected[0])
    assert whole_after in (after, expected[1])


def test_both_ends_are_found_where_there_are_lines_enough():
    before, after = around(200, 64, 32, " typed")
    assert extended(before, after, TEXT) == (
        "\n".join(LINES[:201]) + " typed",
        "\n" + "\n".join(LINES[201:]) + "\n",
    )


def test_an_end_that_is_there_twice_is_left():
    before, after = around(200, 64, 32)
    assert extended(before, after, TEXT + TEXT) == (before, after)


def test_part_of_a_line_is_no_line():
    before, after = around(200, 64, 32)
    text = TEXT.replace(LINES[136], "async " + LINES[136])
    assert extended(before, after, text)[0] == before


def test_a_text_whose_file_is_another_stays_as_it_is():
    before, after = around(200, 64, 32)
    other = TEXT.replace("function", "procedure")
    assert extended(before, after, other) == (before, after)


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_any_texts_keep_what_was_sent(before, after, text):
    whole_before, whole_after = extended(before, after, text)
    assert whole_before.endswith(before)
    assert whole_after == after or whole_after.startswith(after.split("\n")[0])


def test_an_edit_at_the_cursor_leaves_most_runs():
    before, after = around(200, 64, 32, "\n    edited = 1\n    edited = 2")
    runs = runs_around(before, after)
    assert n_found(runs, TEXT) >= len(runs) - 1
    assert n_found(runs, TEXT.replace("function", "procedure")) == 0


def test_a_text_of_few_letters_tells_no_file():
    assert runs_around("a\nb\nc\n\n\n}\n", "\n}\n}\n}\n") == ()


def test_line_ends_of_windows_and_of_old_macs_are_those_of_requests():
    assert unix_lines("a\r\nb\rc\nd") == "a\nb\nc\nd"


def test_repeats_that_almost_match_take_no_more_than_linear_time():
    """In half a minute, where a fraction of a second will do: quadratic ones take hours."""
    line = "a" * 4_000
    text = f"{line}\n" * 500
    started = time.process_time()
    before = "\n".join([line] * 20 + [line + "b"] + [line] * 20) + "\n"
    assert extended(before, before, text * 4) == (before, before)
    assert time.process_time() - started < 30
