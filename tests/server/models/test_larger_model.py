"""When the larger code model is offered: the rules, and that one of many asks."""

import threading
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.model_sources.catalog import ALIASES, CATALOG
from longllama_code.model_sources.default_model import Chosen
from lsp_server.models import larger_model
from lsp_server.models.larger_model import (
    LARGER,
    MAX_SUGGESTION_MS,
    MIN_ANSWERS,
    MIN_FREE_BYTES,
    SLOWDOWN,
    AnswerTimes,
    MeasuredTimes,
    assess,
    claim_offer,
)
from lsp_server.settings.layers import resolve

QUICK = MeasuredTimes(MIN_ANSWERS, 20.0)


def settings(**layer):
    resolved, problems = resolve([{"model": {"path": "coder"}}, layer])
    assert not problems
    return resolved


def test_what_is_offered_is_a_model_of_the_catalog_and_costs_what_is_said():
    large, small = CATALOG[LARGER].source, CATALOG[ALIASES["coder"]].source
    assert f"{large.n_bytes / 1e9:.1f} GB to fetch" in larger_model.COST
    assert large.n_bytes / small.n_bytes < SLOWDOWN  # on the safe side


@given(st.lists(st.floats(1, 1000), min_size=MIN_ANSWERS, max_size=2 * MIN_ANSWERS))
def test_it_is_worth_it_where_half_of_the_suggestions_would_stay_within_the_limit(milliseconds):
    times = AnswerTimes()
    for ms in milliseconds:
        times.add(ms / 1000)
    expected = median(milliseconds) * SLOWDOWN
    if abs(expected - MAX_SUGGESTION_MS) > 1e-6:
        assessment = assess(settings(), times.measured, None)
        assert assessment.is_recommended == (expected < MAX_SUGGESTION_MS)
        assert f"{expected:.0f}" in assessment.text


def test_too_few_answers_say_nothing_yet():
    few = assess(settings(), MeasuredTimes(MIN_ANSWERS - 1, 1.0), None)
    assert (few.is_recommended, "49 of 50" in few.text) == (False, True)
    assert assess(settings(), MeasuredTimes(MIN_ANSWERS, 1.0), None).is_recommended


def test_the_last_answers_count_and_another_engine_begins_anew():
    times = AnswerTimes()
    for seconds in [9.0] * 1000 + [0.01] * larger_model.MAX_KEPT_ANSWERS:
        times.add(seconds)
    assert times.measured.median_ms == pytest.approx(10)
    times.clear()
    assert times.measured == MeasuredTimes()


def test_a_slow_machine_does_not_look_fast_to_whoever_types_fast():
    """All that is slow is ended by the next key; of the rest, what was ended says nothing."""
    times = AnswerTimes()
    for _ in range(10):
        times.add(0.02)
    for _ in range(MIN_ANSWERS):
        times.add_cancelled(0.15)
        times.add_cancelled(0.03)
    assert times.measured.n_answers == 10 + MIN_ANSWERS
    assert not assess(settings(), times.measured, None).is_recommended


def test_memory_must_be_free_where_that_is_known():
    short = assess(settings(), QUICK, MIN_FREE_BYTES - 1)
    assert (short.is_recommended, "needs 3" in short.text) == (False, True)
    assert assess(settings(), QUICK, MIN_FREE_BYTES).is_recommended


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"engine": {"url": "https://engine.example"}}, "a team's engine"),
        ({"model": {"path": LARGER}}, f"names {LARGER}"),
        ({"model": {"path": "coder-0.5b"}}, "names coder-0.5b"),
        ({"model": {"path": "mini"}}, "names mini"),
        ({"model": {"path": "script:answers.json"}}, "names script:answers.json"),
    ],
)
def test_whoever_chose_is_not_asked(layer, said):
    assessment = assess(settings(**layer), QUICK, None)
    assert (assessment.is_recommended, said in assessment.text) == (False, True)


def test_a_machine_that_got_the_small_model_is_not_asked(monkeypatch):
    found = {name: settings(model={"path": name}) for name in ("auto", "coder")}
    monkeypatch.setattr(
        larger_model, "chosen_model", lambda name: Chosen(name.replace("auto", "coder"))
    )
    assert assess(found["auto"], QUICK, None).is_recommended
    monkeypatch.setattr(larger_model, "chosen_model", lambda _: Chosen("mini", "memory is short"))
    assessment = assess(found["auto"], QUICK, None)
    assert (assessment.is_recommended, "memory is short" in assessment.text) == (False, True)


def test_of_many_that_would_ask_at_once_one_does(tmp_path):
    cache, claims = tmp_path / "new" / "cache", list[bool]()
    threads = [
        threading.Thread(target=lambda: claims.append(claim_offer(cache))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == [False] * 15 + [True]
    assert not claim_offer(cache)


def test_where_it_cannot_be_noted_that_the_user_was_asked_they_are_not(tmp_path):
    (tmp_path / "file").touch()
    assert not claim_offer(tmp_path / "file")
    (tmp_path / f"{LARGER}.offered").mkdir()
    assert not claim_offer(tmp_path)
