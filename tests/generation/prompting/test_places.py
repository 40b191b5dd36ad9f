"""Places of one file: going back to a place reads nothing again, and changes no suggestion."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.errors import Cancelled
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

SHIP = "class Ship:\n    def dues(self, rate):\n        return rate\n"
FUNCTIONS = [
    f"def arrive_{n}(ship):\n    tonnes = {n} * {n}{n}\n    return tonnes\n\n\n" for n in range(12)
]
TEXT = "from harbour.ship import Ship\n\n\n" + "".join(FUNCTIONS)


@pytest.fixture
def engine(make_engine: MakeEngine, remember: Remember, coder: LoadedModel) -> Engine:
    made = make_engine(loaded=coder)
    remember(made, "harbour/ship.py", SHIP)
    return made


def at(number: int, text: str = TEXT, typed: str = "") -> CompletionRequest:
    """A cursor in one of the functions, behind what was typed there."""
    offset = text.index(f"tonnes = {number} ")
    before, after = text[:offset] + typed, text[offset:]
    return CompletionRequest("office.py", before, after, max_tokens=4, repository="port")


def complete(engine: Engine, request: CompletionRequest) -> CompletionResult:
    return engine.complete(request, lambda: False)


def n_read(engine: Engine, request: CompletionRequest) -> int:
    """Tokens of a prompt that were processed for this request."""
    timings = complete(engine, request).timings
    return timings.prompt_tokens - timings.reused_tokens


def n_kept(engine: Engine) -> int:
    """Bytes of keys and values of all places."""
    model = engine._model
    assert isinstance(model, CompletionModel)
    return model.readings.nbytes


def test_going_back_to_a_place_reads_nothing_again(engine: Engine) -> None:
    first, other = complete(engine, at(2)), complete(engine, at(9))
    assert other.timings.prompt_tokens - other.timings.reused_tokens > PREFILL_STEP_TOKENS
    assert other.timings.reused_tokens > 0  # definitions of the file are read once
    again = complete(engine, at(2))
    assert again.timings.prompt_tokens - again.timings.reused_tokens == 1
    assert again.text == first.text
    assert n_read(engine, at(9)) == 1


def test_several_places_are_kept(engine: Engine) -> None:
    numbers = (1, 4, 7, 10)
    assert all(n_read(engine, at(number)) > PREFILL_STEP_TOKENS for number in numbers)
    assert [n_read(engine, at(number)) for number in numbers] == [1, 1, 1, 1]


def test_one_goes_on_typing_where_one_was(engine: Engine) -> None:
    for number in (2, 9):
        complete(engine, at(number))
    for typed in ("x", "xy", "xyz"):
        assert n_read(engine, at(2, typed=typed)) <= 2
    assert n_read(engine, at(9)) == 1  # what was typed is taken back


def test_reading_another_place_ahead_keeps_the_one_where_one_types(engine: Engine) -> None:
    complete(engine, at(2))
    complete(engine, replace(at(9), is_ahead=True))
    assert n_read(engine, at(2, typed="x")) <= 2
    again = make_at_both(2, 9, "x")
    complete(engine, replace(again, is_ahead=True))
    assert n_read(engine, again) == 1


def make_at_both(edited: int, number: int, typed: str) -> CompletionRequest:
    """A cursor in a function, after something was typed in another one."""
    request = at(edited, typed=typed)
    return at(number, text=request.prefix + request.suffix)


def test_a_suggestion_that_is_read_ahead_and_not_taken_costs_no_place(engine: Engine) -> None:
    first = at(2)
    complete(engine, first)
    accepted = replace(first, prefix=first.prefix + "ship.dues(2)", is_ahead=True)
    complete(engine, accepted)
    assert n_read(engine, at(9)) > PREFILL_STEP_TOKENS
    assert n_read(engine, first) == 1


def test_keys_while_a_place_is_being_read_lose_nothing_of_it(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    """Each key ends the reading after a step, and names what is not shown yet."""
    engine = make_engine(loaded=coder)
    names = [f"tariff_{n}" for n in range(9)]
    for name in names:
        body = f"def {name}(ship, rate_of_{name}):\n    return {len(name)}\n"
        remember(engine, f"harbour/{name}.py", body)
    imports = "".join(f"from harbour.{name} import {name}\n" for name in names)
    text = f"{imports}\n\n{''.join(FUNCTIONS)}"
    typed = [" ".join(names[: n + 1]) for n in range(len(names))]
    requests = [replace(at(6, text, one), definition_tokens=360) for one in typed]
    for request in requests[:-1]:
        steps = iter([False] * 2)
        with pytest.raises(Cancelled):
            engine.complete(request, lambda: next(steps, True))  # noqa: B023 - called at once
    timings = complete(engine, requests[-1]).timings
    assert timings.reused_tokens > (len(typed) - 2) * PREFILL_STEP_TOKENS


def test_typing_keeps_no_places_behind(engine: Engine) -> None:
    complete(engine, at(2))
    before = n_kept(engine)
    for typed in (
        "(",
        "((",
        "(((",
    ):  # an editor closes each: what stands first in the prompt is new
        request = at(2, typed=typed)
        complete(engine, replace(request, suffix=")" * len(typed) + request.suffix))
    assert n_kept(engine) == before


def test_places_used_longest_ago_go(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    alone = make_engine(loaded=coder)
    complete(alone, at(2))
    # A new place is made before room is made, so one and a half are two, for a moment three.
    engine = make_engine(loaded=coder, context_bytes=n_kept(alone) * 3 // 2)
    for number in (2, 6, 9):
        complete(engine, at(number))
    assert n_read(engine, at(9)) == 1
    assert n_read(engine, at(2)) > PREFILL_STEP_TOKENS


def test_a_place_is_gone_with_room_for_one_alone(
    make_engine: MakeEngine, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder, context_bytes=1)
    for number in (2, 9):
        assert n_read(engine, at(number)) > PREFILL_STEP_TOKENS
    assert n_read(engine, at(9)) == 1


@settings(max_examples=12)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 11), st.sampled_from(["", "x", "x = ("]), st.booleans()),
        min_size=2,
        max_size=8,
    )
)
def test_no_suggestion_depends_on_where_one_was_before(
    steps: list[tuple[int, str, bool]], coder: LoadedModel
) -> None:
    """Edits stay in the text; requests are made ahead of time or waited for."""
    engine, text = Engine.create(coder, None), TEXT
    for number, typed, is_ahead in steps:
        request = replace(at(number, text, typed), is_ahead=is_ahead)
        text = request.prefix + request.suffix
        found = complete(engine, request)
        fresh = complete(Engine.create(coder, None), request)
        assert (found.text, found.stop_reason) == (fresh.text, fresh.stop_reason)
        assert found.confidence == pytest.approx(fresh.confidence, abs=1e-4)
    engine.close()


def test_reading_ahead_has_all_the_time_that_it_takes(engine: Engine) -> None:
    hurried = replace(at(2), timeout_ms=0)
    assert complete(engine, hurried).empty_reason == "deadline"
    ahead = complete(engine, replace(hurried, is_ahead=True))
    assert ahead.text == complete(engine, at(2)).text
    assert n_read(engine, at(2)) == 1
