"""Typing: a person's rhythm, and what a person thinks of suggestions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.typing.person import POLICIES, Person, first_word, is_right_for_a_word
from lsp_server.benchmarks.typing.rhythm import Rhythm, count_keys, keystroke

TEXTS = st.text("ab_1( ).\n\t", max_size=12)


@pytest.mark.parametrize(
    ("key", "following", "seconds"),
    [
        ("a", "b", 0.1),
        ("a", "_", 0.1),
        ("_", "1", 0.1),
        ("a", "(", 0.25),
        ("(", "a", 0.25),
        ("a", "\n", 0.8),
        ("\n", "a", 0.8),
        ("a", "", 0.8),
    ],
)
def test_keys_follow_faster_within_words_than_at_their_ends(key, following, seconds):
    assert Rhythm().gap_s(key, following) == seconds
    assert Rhythm(slowdown=3).gap_s(key, following) == pytest.approx(3 * seconds)


def test_a_slower_person_reads_and_starts_more_slowly_too():
    assert Rhythm(slowdown=2).seconds_to_read == 2 * Rhythm().seconds_to_read
    assert Rhythm(slowdown=2).seconds_to_start == 2 * Rhythm().seconds_to_start


@pytest.mark.parametrize("slowdown", [0, -1, float("nan")])
def test_a_slowdown_that_is_no_factor_is_refused(slowdown):
    with pytest.raises(ValueError, match="give one above 0"):
        Rhythm(slowdown=slowdown)


def test_the_editor_indents_a_new_line():
    assert keystroke("\n\t  a b") == "\n\t  "
    assert keystroke("\n\n  a") == "\n"
    assert keystroke("  a") == " "
    assert keystroke("") == ""
    assert count_keys("a:\n    b\n\nc") == 7


@given(TEXTS)
def test_keystrokes_write_the_text(text):
    written, rest = "", text
    for _ in range(count_keys(text)):
        pressed = keystroke(rest)
        written, rest = written + pressed, rest[len(pressed) :]
    assert (written, rest) == (text, "")


@pytest.mark.parametrize(
    ("shown", "to_end", "for_a_word", "whole", "word"),
    [
        ("size(self)", True, True, "size(self)", "size(self)"),
        ("size(self):\n    re", True, True, "size(self):\n    re", "size(self):\n    re"),
        ("size(self)  ", True, True, "size(self)", "size(self)"),  # blanks at the end aside
        ("size(self):\n", True, True, "size(self):", "size(self):"),
        ("size(other)", False, True, "", "size"),
        ("siz", True, True, "siz", "siz"),  # the model stopped early
        ("siz(", False, False, "", ""),  # a part of a word is no word
        ("sizes(self)", False, False, "", ""),
        ("area", False, False, "", ""),
        ("s", True, True, "", ""),  # not worth a key
        ("s ize", False, False, "", ""),
        ("", False, False, "", ""),
        ("  \n", False, False, "", ""),
    ],
)  # fmt: skip
def test_a_person_accepts_what_is_right(shown, to_end, for_a_word, whole, word):
    remaining = "size(self):\n    return 1"
    for policy, accepted in zip(POLICIES, (whole, word), strict=True):
        found = Person(policy).judge(shown, remaining)
        assert (found.right_to_end, found.right_for_a_word) == (to_end, for_a_word)
        assert found.accepted == accepted


def test_signs_before_a_word_belong_to_it():
    assert first_word("(self, x)") == "(self"
    assert first_word(" = None") == " = None"
    assert first_word("):") == "):"
    assert is_right_for_a_word("(self, x)", "(self)")
    assert not is_right_for_a_word("(self, x)", "(other)")


def test_a_blank_within_the_line_that_is_right_is_kept():
    assert Person().judge("a = ", "a = b").accepted == "a = "


def test_what_is_cut_off_is_right_but_not_inserted():
    found = Person().judge("return x + y", "return x", rest=" + y")
    assert (found.right_to_end, found.accepted) == (True, "return x")
    assert not Person().judge("return x + z", "return x", rest=" + y").right_to_end


@given(TEXTS, TEXTS, TEXTS, st.sampled_from(POLICIES))
def test_what_is_accepted_is_right_and_saves_keys(shown, remaining, rest, policy):
    found = Person(policy).judge(shown, remaining, rest)
    assert remaining.startswith(found.accepted)
    assert shown.startswith(found.accepted)
    assert count_keys(found.accepted) != 1
    after = remaining[len(found.accepted) :]
    assert count_keys(found.accepted) + count_keys(after) == count_keys(remaining)
    if found.accepted:
        assert found.right_for_a_word


@given(TEXTS.filter(str.strip), TEXTS)
def test_a_suggestion_that_foresees_the_text_is_right_to_its_end(text, rest):
    found = Person().judge(text, text + rest)
    assert found.right_to_end
    assert found.right_for_a_word
