"""The part of a suggestion that is shown: how it ends, and that it is the one worth most."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.generation.decoding.best_part import Part, best_part, parts_of


def marks(*tokens: tuple[str, float]) -> tuple[str, list[int], list[float]]:
    """Return tokens with their probabilities as a text, lengths and log probabilities."""
    text, ends = "", []
    for token, _ in tokens:
        text += token
        ends.append(len(text))
    return text, ends, [math.log(probability) for _, probability in tokens]


def shown(*tokens: tuple[str, float], least: float = 0.5) -> str:
    return best_part(parts_of(*marks(*tokens)), least).text


def test_a_suggestion_ends_where_the_model_becomes_unsure() -> None:
    whole = ("self", 0.95), (".name", 0.9), (" or", 0.3), (" None", 0.9)
    assert shown(*whole) == "self.name"
    assert shown(*whole, least=0.1) == "self.name"
    assert shown(*whole, least=0.9) == "self"
    assert shown(*whole, least=0.99) == ""


def test_all_of_it_is_shown_where_its_end_is_about_as_sure() -> None:
    assert (
        shown(("self", 0.95), (".name", 0.9), (" or", 0.9), (" None", 0.9)) == "self.name or None"
    )


@pytest.mark.parametrize(
    ("tokens", "part"),
    [
        ((("get", 0.9), ("_name", 0.9), ("_of", 0.1)), ""),  # the word may go on otherwise
        ((("value", 0.9), (" =", 0.9), (" get", 0.9), ("_name", 0.1)), "value"),
        ((("if x", 0.9), (":", 0.9), ("\n", 0.9), ("go", 0.1)), "if x:"),
        ((("path", 0.9), (":", 0.9), (" str", 0.1)), "path"),
        ((("# what?", 0.9), (" so", 0.1)), ""),
        ((("call", 0.9), ("(", 0.9), ("first", 0.9), (",", 0.1), (" x)", 0.9)), "call"),
        ((("call", 0.9), ("(x", 0.9), (")", 0.9), (" +", 0.1), (" y", 0.1)), "call(x)"),
        ((("name", 0.9), ("=", 0.9), ('"', 0.9), ("so", 0.9), ("-", 0.1), ('on"', 1)), "name"),
        ((("name", 0.9), ("=", 0.9), ('"', 0.9), ('\\"', 0.9), ("-", 0.1)), "name"),  # escaped
        ((("name", 0.9), ("=", 0.9), ('"\\\\', 0.9), ('"', 0.9), ("-", 0.1)), 'name="\\\\"'),
        ((("x)", 0.9), (" and", 0.9), (" y", 0.1)), "x) and"),  # opened before the cursor
        (
            (("# we", 0.9), (" don", 0.9), ("'t", 0.9), (" know", 0.9), (" yet", 0.1)),
            "# we don't know",
        ),
        ((("return", 0.9), (" f", 0.9), ("'{", 0.1), ("x}'", 0.9)), "return"),
        ((("x", 0.9), (")", 0.9), (" and", 0.1)), ""),  # two characters are worth no look
        ((("# don't", 0.9), ("\n", 0.9), ("value", 0.9), (" + 1", 0.1)), "# don't\nvalue"),
    ],
)
def test_a_part_ends_with_a_word_and_closes_what_it_opens(
    tokens: tuple[tuple[str, float], ...], part: str
) -> None:
    assert shown(*tokens) == part


def test_a_short_text_is_shown_if_it_is_all() -> None:
    assert shown((")", 0.9)) == ")"
    assert shown(("x", 0.9), (")", 0.9), ("\n", 0.9)) == "x)"


PIECES = st.sampled_from(["a", "bc", " ", "(", ")", "[", "]", '"', "'", "\n", ".", "é", "_"])
TOKENS = st.lists(st.tuples(PIECES, st.floats(0.01, 1)), min_size=1, max_size=12)


@given(TOKENS, st.floats(0, 1))
def test_what_is_shown_is_a_beginning_probable_enough_and_worth_most(
    tokens: list[tuple[str, float]], least: float
) -> None:
    text, ends, log_probs = marks(*tokens)
    parts = list(parts_of(text, ends, log_probs))
    best = best_part(parts, least)
    assert text.startswith(best.text)
    assert best.text == best.text.rstrip()
    assert best == Part("", 0.0) or best.probability >= least
    for part in parts:
        assert part.probability < least or part.keys_saved <= max(best.keys_saved, 0)
    assert [part.probability for part in parts] == sorted(p.probability for p in parts)[::-1]
    assert parts[-1].text == text.rstrip() if text.strip() else True


@given(TOKENS, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_shows_no_less_probable_part(
    tokens: list[tuple[str, float]], one: float, other: float
) -> None:
    parts = list(parts_of(*marks(*tokens)))
    low, high = (best_part(parts, least) for least in sorted((one, other)))
    assert high.text == "" or high.probability >= low.probability
