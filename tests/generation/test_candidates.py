"""Several suggestions, and none where the model is unsure."""

from dataclasses import replace

import pytest

from longllama_code.protocol import CompletionRequest
from longllama_code.texts import common_prefix_length

REQUEST = CompletionRequest("b.py", "def f(x):\n    x", "", max_tokens=12)
KNOWN = "def moor(vessel, berth):\n    berth.hold(vessel)\n    return vessel.name\n\n"


def never() -> bool:
    return False


def test_candidates_differ_and_leave_the_first_as_it_is(make_engine, remember, monkeypatch):
    monkeypatch.setattr("longllama_code.generation.answer.LEAST_PROBABILITY", 0.0)
    engine = make_engine()
    remember(engine, "a.py", KNOWN)
    alone = engine.complete(REQUEST, never)
    several = engine.complete(replace(REQUEST, n_candidates=4), never)
    assert (several.text, several.sources) == (alone.text, alone.sources)
    assert alone.alternatives == []
    texts = [several.text, *several.alternatives]
    assert 1 < len(texts) <= 4
    assert len(set(texts)) == len(texts)
    assert engine.complete(REQUEST, never).text == alone.text


def test_an_alternative_is_what_the_model_writes_where_it_leaves_the_first(
    make_engine, monkeypatch
):
    monkeypatch.setattr("longllama_code.generation.answer.LEAST_PROBABILITY", 0.0)
    engine = make_engine()
    n_compared = 0
    for name in "abcdefgh":
        request = replace(REQUEST, prefix=f"{REQUEST.prefix}{name}")
        several = engine.complete(replace(request, n_candidates=12), never)
        for text in several.alternatives:
            begun = text[: common_prefix_length(text, several.text) + 1]
            if begun.isascii() and begun != text:  # a token of this model is a byte
                prefix, n_left = request.prefix + begun, REQUEST.max_tokens - len(begun)
                rest = engine.complete(replace(request, prefix=prefix, max_tokens=n_left), never)
                assert rest.text == text[len(begun) :]
                n_compared += 1
    assert n_compared


def test_what_the_model_does_not_expect_is_no_candidate(make_engine, monkeypatch):
    monkeypatch.setattr("longllama_code.generation.answer.LEAST_PROBABILITY", 1.0)
    assert make_engine().complete(replace(REQUEST, n_candidates=3), never).alternatives == []


def test_confidence_is_a_probability_and_a_threshold_stops_early(make_engine):
    engine = make_engine()
    sure = engine.complete(REQUEST, never)
    assert 0 < sure.probability <= sure.mean_probability <= 1
    assert sure.probability <= sure.confidence
    above = engine.complete(replace(REQUEST, min_confidence=sure.confidence + 1e-6), never)
    assert (above.text, above.empty_reason, above.stop_reason) == ("", "unsure", "unsure")
    assert above.timings.generated_tokens < sure.timings.generated_tokens
    later = engine.complete(replace(REQUEST, min_confidence=sure.probability + 1e-6), never)
    assert later.stop_reason == "unsure"
    assert sure.text.startswith(later.text)
    assert later.text != sure.text
    assert not later.text or later.probability > sure.probability


def test_a_request_may_leave_the_threshold_to_the_model(make_engine, monkeypatch):
    engine = make_engine()
    left_to_it = replace(REQUEST, min_confidence=None)
    assert engine.complete(left_to_it, never).text
    monkeypatch.setattr(engine._completer._model.config, "min_confidence", 1.0)
    assert engine.complete(left_to_it, never).empty_reason == "unsure"
    assert engine.complete(REQUEST, never).text


def test_a_word_begun_is_completed_with_more_confidence(copying, make_engine, remember):
    engine = make_engine(loaded=copying)
    remember(engine, "a.py", KNOWN)
    request = CompletionRequest("b.py", KNOWN[:40], "", max_tokens=8)
    assert engine.complete(request, never).confidence == pytest.approx(0.999, abs=0.01)
