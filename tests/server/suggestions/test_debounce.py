"""How long to wait after a key."""

import pytest

from lsp_server.suggestions.debounce import MAX_DELAY_S, DebouncePolicy

FAST = [0.1 * n for n in range(8)]
USUAL = 0.06


def delay(keys: list[float], answer_s: float | None, usual_s: float = USUAL) -> float:
    policy = DebouncePolicy()
    if answer_s is not None:
        policy.note_answer(answer_s)
    for time in keys:
        policy.note_key(time)
    return policy.delay_s(usual_s)


def test_an_answer_that_comes_before_the_next_key_is_asked_for_at_once():
    assert delay(FAST, 0.08) == 0


@pytest.mark.parametrize("keys", [[], FAST[:1], FAST])
def test_a_quick_engine_is_asked_at_once_whatever_the_keys(keys):
    assert delay(keys, 0.04) == 0


def test_an_answer_that_the_user_may_type_up_to_is_asked_for_as_usual():
    assert delay(FAST, 0.2) == USUAL


def test_a_burst_is_waited_out_where_answers_are_slow():
    assert delay(FAST, 2.0) == pytest.approx(0.125)
    assert delay([0.4 * n for n in range(8)], 9.0) == MAX_DELAY_S
    assert delay([0.01 * n for n in range(8)], 9.0) == USUAL


@pytest.mark.parametrize(
    ("keys", "answer_s"),
    [
        ([], 0.08),
        (FAST[:4], 0.08),  # too few to tell
        (FAST, None),  # nothing is known of the engine
        ([*FAST[:4], 9.0], 0.08),  # a pause ended the burst
        ([*FAST[:4], 0.1], 0.08),  # another clock
    ],
)
def test_otherwise_as_was_set(keys, answer_s):
    assert delay(keys, answer_s) == USUAL


def test_no_quiet_time_stays_none():
    assert delay(FAST, 9.0, 0) == 0
