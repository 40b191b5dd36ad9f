"""From an answer of the engine to a suggestion."""

from dataclasses import replace

import pytest

from longllama_code.protocol import CompletionResult, ShownDefinition, Source, Timings
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.suggestion import SuggestionHistory, no_suggestion, to_suggestion
from tests.server.suggestions.cursors import cursor


def result(text, empty_reason=None):
    return CompletionResult(text, "line", Timings(), empty_reason=empty_reason)


def test_an_answer_becomes_a_suggestion_with_an_id_of_its_own():
    one, two = (to_suggestion(result("1)"), cursor("f(|)")) for _ in range(2))
    assert (one.text, one.reason) == (two.text, two.reason) == ("1", None)
    assert one.id != two.id != no_suggestion("disabled").id


def test_each_text_replaces_what_it_closes_as_well():
    answer = replace(result("a):"), alternatives=["b)", "a):", "c"])
    suggestion = to_suggestion(answer, cursor("def f(|)"))
    assert (suggestion.text, suggestion.n_replaced) == ("a):", 1)
    assert suggestion.insertion == "a"
    assert suggestion.alternatives == (Fit("b"), Fit("c"))


def test_every_empty_answer_has_a_reason():
    assert to_suggestion(result("", "deadline"), cursor("|")).reason == "deadline"
    assert to_suggestion(result(")"), cursor("f(1|)")).reason == "repeats_line"
    assert no_suggestion("superseded").reason == "superseded"


def explained(answer, suggestion_id=None, *more):
    history = SuggestionHistory()
    for each in (to_suggestion(answer, cursor("x = |")), *more):
        history.add(each)
    return history.explain(suggestion_id)


def test_shares_of_definitions_lines_and_the_model_add_up():
    sources = [Source("a.py", 3, 4, 0.5), Source("a.py", 40, 41, 0.3), Source("b.py", 3, 4, 0.2)]
    shown = [
        ShownDefinition("a.py", "Ship", 1, 20, "imported", 9),
        ShownDefinition("a.py", "Ship.moor", 3, 6, "imported", 9, is_named=True),
        ShownDefinition("c.py", "Pilot", 3, 6, "imported", 9),
    ]
    answer = replace(result("moor()"), sources=sources, definitions=shown, memory_share=0.5)
    found = explained(answer)
    assert (found["text"], found["stale"], found["ownShare"]) == ("moor()", False, 0.5)
    assert [each["share"] for each in found["definitions"]] == [None, 0.25, None]
    assert [(each["path"], each["mass"]) for each in found["sources"]] == [
        ("a.py", pytest.approx(0.15)),
        ("b.py", pytest.approx(0.1)),
    ]


def test_lines_that_begin_at_the_same_line_are_one_source_and_the_strongest_comes_first():
    """Memory is drawn on in pages, which end within lines."""
    at = [("b.py", 8, 8, 0.3), ("a.py", 1, 2, 0.4), ("b.py", 8, 9, 0.2), ("b.py", 9, 9, 0.1)]
    found = explained(replace(result("x"), sources=[Source(*each) for each in at]))
    assert [(each["path"], each["first_line"], each["last_line"]) for each in found["sources"]] == [
        ("b.py", 8, 9),
        ("a.py", 1, 2),
        ("b.py", 9, 9),
    ]
    assert found["sources"][0]["mass"] == pytest.approx(0.5)


def test_what_is_not_known_has_no_share():
    found = explained(result("x"))
    assert (found["ownShare"], found["sources"], found["definitions"]) == (None, [], [])
    assert explained(result(""))["text"] is None


def test_an_earlier_suggestion_is_marked():
    first = to_suggestion(result("a"), cursor("x = |"))
    history = SuggestionHistory()
    for each in (first, no_suggestion("inside_line")):
        history.add(each)
    assert history.explain(first.id)["stale"]
    assert not history.explain(None)["stale"]
    assert history.explain("s0") is None
