"""The laws of the threshold that a user's own statistics suggest."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.statistics.adaptive import (
    HEAD_START,
    MAX_FLOOR,
    N_NEEDED,
    RIGHT,
    STEP,
    WORTH,
    adapted_floor,
)
from lsp_server.statistics.record import OUTCOMES, Record

MODEL = 7


def record(confidence: int, outcome: str | None, **values) -> Record:
    known = {"language": "python", "n_chars": 12, "latency_ms": 80, "is_automatic": True}
    known |= {"model": MODEL, "confidence": confidence, "outcome": outcome}
    return Record(**{**known, **values})


RECORDS = st.lists(
    st.builds(
        record, st.integers(0, 100), st.sampled_from(["accepted", "typed_over", "typed_out"])
    ),
    min_size=N_NEEDED,
    max_size=N_NEEDED + 60,
)
SKEWED = st.tuples(st.integers(0, 12), st.integers(0, 100), st.integers(0, 200))


def many(groups) -> list[Record]:
    """Records of (range of confidence, right, wrong), and as many right ones as are needed."""
    records = [record(95, "accepted") for _ in range(N_NEEDED)]
    for step, n_right, n_wrong in groups:
        records += [record(step * STEP, "accepted")] * n_right
        records += [record(step * STEP, "typed_over")] * n_wrong
    return records


HISTORIES = st.one_of(RECORDS, st.lists(SKEWED, max_size=8).map(many))


@given(HISTORIES)
def test_it_is_bounded_and_a_whole_number_of_steps(records):
    floor = adapted_floor(records, MODEL)
    assert 0 <= floor <= MAX_FLOOR
    assert floor % STEP == 0


@given(HISTORIES, st.data())
def test_one_more_that_was_right_never_raises_it_and_one_that_was_wrong_never_lowers_it(
    records, data
):
    """Monotone: turning one outcome moves the threshold one way alone."""
    index = data.draw(st.integers(0, len(records) - 1))
    wrong = [*records[:index], replace(records[index], outcome="typed_over"), *records[index + 1 :]]
    right = [*records[:index], replace(records[index], outcome="accepted"), *records[index + 1 :]]
    assert adapted_floor(right, MODEL) <= adapted_floor(wrong, MODEL)


@given(st.lists(st.builds(record, st.integers(0, 100), st.sampled_from(OUTCOMES)), max_size=199))
def test_below_the_number_that_is_needed_nothing_changes(records):
    assert adapted_floor(records, MODEL) == 0


@given(HISTORIES, st.randoms())
def test_the_order_does_not_matter(records, random):
    shuffled = list(records)
    random.shuffle(shuffled)
    assert adapted_floor(shuffled, MODEL) == adapted_floor(records, MODEL)


@given(HISTORIES, st.lists(st.integers(0, 100), max_size=50))
def test_what_says_nothing_changes_nothing(records, confidences):
    """Left or open suggestions, explicit requests, other models."""
    others = [record(each, "left") for each in confidences]
    others += [record(each, None) for each in confidences]
    others += [record(each, "typed_over", is_automatic=False) for each in confidences]
    others += [record(each, "typed_over", model=MODEL + 1) for each in confidences]
    assert adapted_floor([*records, *others], MODEL) == adapted_floor(records, MODEL)


@given(HISTORIES)
def test_where_all_was_right_nothing_changes(records):
    right = [replace(each, outcome="accepted") for each in records]
    assert adapted_floor(right, MODEL) == 0


@given(st.integers(0, 11), st.integers(1, 100))
def test_a_range_is_dropped_exactly_where_too_few_were_right(step, n_right):
    enough = HEAD_START + WORTH * n_right
    at_limit = many([(step, n_right, enough)])
    beyond = many([(step, n_right, enough + 1)])
    assert adapted_floor(at_limit, MODEL) == 0
    assert adapted_floor(beyond, MODEL) == (step + 1) * STEP


def test_accepted_in_part_and_typed_out_were_right():
    assert {*OUTCOMES} - RIGHT == {"typed_over", "left"}


def test_suggestions_over_http_do_not_count_as_nobody_knows_whether_they_were_shown():
    wrong = [record(20, "typed_over") for _ in range(2 * N_NEEDED)]
    right = [record(95, "accepted") for _ in range(N_NEEDED)]
    assert adapted_floor(right + wrong, MODEL) > 0
    over_http = [replace(each, client="http") for each in wrong]
    assert adapted_floor(right + over_http, MODEL) == 0
