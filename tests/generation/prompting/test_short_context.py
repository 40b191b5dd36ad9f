"""A short prompt answers where the whole one would have to be processed first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from longllama_code.errors import Cancelled
from longllama_code.generation.decoding.reading_speed import LEAST_TOKENS, ReadingSpeed
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting import short_context
from longllama_code.generation.prompting.short_context import (
    LEAST_UNREAD_TOKENS,
    LOCAL_TOKENS,
    comes_first,
)
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from tests.generators import finish

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

SHIP = "class Ship:\n    def dues(self, rate):\n        return rate\n"
FUNCTIONS = [f"def f_{n}(ship):\n    t = {n} * {n}{n}\n    return t\n\n\n" for n in range(60)]
TEXT = "from harbour.ship import Ship\n\n\n" + "".join(FUNCTIONS)


@pytest.fixture
def engine(make_engine: MakeEngine, remember: Remember, coder: LoadedModel) -> Engine:
    made = make_engine(loaded=coder)
    remember(made, "harbour/ship.py", SHIP)
    return made


def at(number: int, typed: str = "") -> CompletionRequest:
    """A cursor in one of the functions, behind what was typed there."""
    offset = TEXT.index(f"t = {number} ")
    before, after = TEXT[:offset] + typed, TEXT[offset:]
    request = CompletionRequest("office.py", before, after, max_tokens=4, repository="port")
    return replace(request, short_after_ms=0)


def complete(engine: Engine, request: CompletionRequest) -> CompletionResult:
    return engine.complete(request, lambda: False)


def n_read(result: CompletionResult) -> int:
    return result.timings.prompt_tokens - result.timings.reused_tokens


def test_the_first_answer_at_a_place_is_short_and_the_next_is_not_once_all_is_read(
    engine: Engine,
) -> None:
    first = complete(engine, at(30))
    assert first.is_short
    whole = complete(engine, replace(at(30), is_ahead=True))
    assert not whole.is_short
    assert whole.timings.prompt_tokens > LEAST_UNREAD_TOKENS
    assert first.timings.prompt_tokens < whole.timings.prompt_tokens / 2
    again = complete(engine, at(30))
    assert (again.is_short, n_read(again), again.text) == (False, 1, whole.text)


def test_what_was_read_when_the_file_was_opened_is_not_read_again(engine: Engine) -> None:
    n_opening = finish(engine.prepare(at(10)))
    assert n_opening > len(SHIP) / 2  # tokens of this model are bytes
    first = complete(engine, at(30))
    assert (first.is_short, first.timings.reused_tokens) == (True, n_opening)
    elsewhere = complete(engine, at(50))
    assert elsewhere.is_short
    assert elsewhere.timings.reused_tokens >= n_opening


def test_what_is_typed_meanwhile_reads_little_and_leaves_what_was_read_of_the_whole(
    engine: Engine,
) -> None:
    assert n_read(complete(engine, at(30))) > 100
    steps = iter([False] * 4)
    with pytest.raises(Cancelled):
        engine.complete(replace(at(30), is_ahead=True), lambda: next(steps, True))
    typed = complete(engine, at(30, "x"))
    assert (typed.is_short, n_read(typed) <= 2) == (True, True)
    whole = complete(engine, replace(at(30, "x"), is_ahead=True))
    assert whole.timings.reused_tokens >= 3 * 64


def test_where_the_cursor_rests_the_short_prompt_is_read_before_the_whole(engine: Engine) -> None:
    short = complete(engine, at(20))
    most = -(-short.timings.prompt_tokens // 64) + 4
    steps = iter([False] * most)
    with pytest.raises(Cancelled):
        engine.complete(replace(at(30), is_ahead=True), lambda: next(steps, True))
    first = complete(engine, at(30))
    assert (first.is_short, n_read(first)) == (True, 1)


def test_a_short_prompt_shows_little_of_the_file(engine: Engine, coder: LoadedModel) -> None:
    result = complete(engine, at(30))
    lines = result.last_line - result.first_line
    per_line = len(TEXT) / TEXT.count("\n")
    # Tokens of this model are bytes; before the cursor are one to two steps of two for a token.
    assert lines * per_line <= LOCAL_TOKENS * (1 + 2 * 2) + 2 * per_line


@pytest.mark.parametrize("options", [{"short_after_ms": None}, {"is_ahead": True}])
def test_who_does_not_want_it_or_does_not_wait_gets_the_whole(
    engine: Engine, options: dict[str, Any]
) -> None:
    assert not complete(engine, replace(at(30), **options)).is_short


def test_a_limit_asks_for_it_where_the_whole_is_expected_to_take_longer(engine: Engine) -> None:
    complete(engine, replace(at(10), short_after_ms=None))  # measures
    assert not complete(engine, replace(at(30), short_after_ms=3_600_000)).is_short
    assert complete(engine, replace(at(50), short_after_ms=1)).is_short


def test_time_is_expected_by_what_was_read_last() -> None:
    speed = ReadingSpeed()
    assert speed.seconds_for(100) is None
    request = replace(at(30), short_after_ms=5000)
    assert not comes_first(request, 1000, speed)  # nobody knows
    speed.note(LEAST_TOKENS - 1, 60)
    assert speed.seconds_for(100) is None  # a short pass says nothing
    speed.note(64, 64 * 0.002)
    assert speed.seconds_for(1000) == pytest.approx(2)
    assert not comes_first(request, 1000, speed)
    for _ in range(20):
        speed.note(64, 64 * 0.01)
    assert speed.seconds_for(1000) == pytest.approx(10, rel=0.01)
    assert comes_first(request, 1000, speed)
    assert not comes_first(request, LEAST_UNREAD_TOKENS, speed)


def test_a_file_that_is_short_itself_is_shown_whole(engine: Engine) -> None:
    text = "def arrive(ship):\n    "
    request = CompletionRequest("new.py", text, "\n", max_tokens=4)
    assert not complete(engine, replace(request, short_after_ms=0)).is_short


def test_a_short_answer_is_that_of_a_short_prompt(engine: Engine, coder: LoadedModel) -> None:
    found = complete(engine, at(30))
    alone = Engine.create(coder, None)
    for _ in alone.remember("harbour/ship.py", SHIP):
        pass
    expected = complete(alone, short_context.short(at(30)))
    assert (found.text, found.definitions) == (expected.text, expected.definitions)
    alone.close()
