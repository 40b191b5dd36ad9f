"""From an answer of the engine to a suggestion."""

from dataclasses import replace

from longllama_code.protocol import CompletionResult, Timings
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.suggestion import no_suggestion, to_suggestion
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
    assert suggestion.alternatives == (Fit("b"), Fit("c"))


def test_every_empty_answer_has_a_reason():
    assert to_suggestion(result("", "deadline"), cursor("|")).reason == "deadline"
    assert to_suggestion(result(")"), cursor("f(1|)")).reason == "repeats_line"
    assert no_suggestion("superseded").reason == "superseded"
