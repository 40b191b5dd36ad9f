"""Suggestions whose names exist: another name in its place, or none, with a reason."""

from dataclasses import replace

import pytest

from longllama_code.protocol import CompletionRequest, RecentEdit

LINE = "from shop.cart import Basket, Crate\n"
CART = "class Cart: ...\n\n\nclass Crate: ...\n\n\ndef total(cart): ...\n"
REQUEST = CompletionRequest("b.py", "from shop.cart import ", "\n", max_tokens=24, multiline=False)
CHECKED = replace(REQUEST, existing_names=True)


def never() -> bool:
    return False


@pytest.fixture
def engine(copying, make_engine, remember):
    """An engine that repeats what it read, of a repository where a class was renamed."""
    engine = make_engine(loaded=copying)
    remember(engine, "shop/cart.py", CART)
    remember(engine, "shop/__init__.py", "")
    remember(engine, "old.py", LINE)
    return engine


def test_a_name_that_exists_is_written_in_place_of_one_that_does_not(engine):
    assert engine.complete(REQUEST, never).text == "Basket, Crate"
    seen: list[str] = []
    result = engine.complete(CHECKED, never, seen.append)
    name = result.text.partition(",")[0].split()[0].partition("(")[0]
    assert name in ("Cart", "Crate", "total")
    assert "Basket" not in result.text
    assert any("Basket" in text for text in seen)  # the model wrote it first
    assert 0 < result.probability <= result.confidence <= 1
    assert result.timings.reused_tokens <= result.timings.prompt_tokens


def test_the_next_request_is_answered_as_if_nothing_had_been_written_twice(engine):
    first = engine.complete(CHECKED, never)
    again = engine.complete(CHECKED, never)
    assert (again.text, again.probability) == (first.text, first.probability)
    assert engine.complete(REQUEST, never).text == "Basket, Crate"


def test_where_no_name_fits_nothing_is_suggested_and_the_reason_says_why(engine):
    begun = replace(CHECKED, prefix="from shop.cart import Bask")
    assert engine.complete(replace(begun, existing_names=False), never).text == "et, Crate"
    result = engine.complete(begun, never)
    assert (result.text, result.empty_reason) == ("", "unknown_name")
    assert result.stop_reason == "unknown_name"


def test_a_name_that_was_written_a_short_while_ago_exists(engine):
    edits = (RecentEdit("shop/cart.py", "class Cart: ...", "class Basket: ...", 1),)
    assert engine.complete(replace(CHECKED, recent_edits=edits), never).text == "Basket, Crate"


def test_names_of_the_file_alone_are_not_checked(engine):
    alone = replace(CHECKED, uses_memory=False)
    unchecked = replace(REQUEST, uses_memory=False)
    assert engine.complete(alone, never).text == engine.complete(unchecked, never).text


def test_alternatives_whose_names_do_not_exist_are_left_out(engine, monkeypatch):
    monkeypatch.setattr("longllama_code.generation.answer.LEAST_PROBABILITY", 0.0)
    several = replace(CHECKED, n_candidates=6)
    result = engine.complete(several, never)
    assert result.alternatives
    assert not any("Basket" in text for text in (result.text, *result.alternatives))


def test_a_name_cut_off_by_the_limit_is_not_judged(engine):
    cut = replace(CHECKED, max_tokens=5)
    assert engine.complete(cut, never).text == "Bask"


def test_what_the_next_line_says_already_is_not_suggested_but_something_else(engine):
    there = replace(REQUEST, suffix=f"\n\n{LINE}")
    seen: list[str] = []
    result = engine.complete(there, never, seen.append)
    assert any("Basket, Crate" in text for text in seen)
    assert result.text not in ("", "Basket, Crate")
    again = engine.complete(there, never)
    assert (again.text, again.probability) == (result.text, result.probability)
    assert engine.complete(REQUEST, never).text == "Basket, Crate"
