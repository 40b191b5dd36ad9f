"""Definitions that the engine knows before their files are in memory."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.protocol import CompletionRequest, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

TEXTS = {
    "harbour/ship.py": "class Ship:\n    def dues(self, rate):\n        return rate\n",
    "harbour/berth.py": "def take(ship):\n    return ship\n",
}
OFFICE = "from harbour.ship import Ship\nfrom harbour.berth import take\n\nship = Ship()\n"
REQUEST = CompletionRequest("office.py", OFFICE + "x = ship.", "\n", max_tokens=4)


def names(engine: Engine, path: str) -> set[str]:
    """What a file that was not asked in before is shown."""
    result = engine.complete(replace(REQUEST, path=path), lambda: False)
    return {each.name for each in result.definitions}


def test_they_are_shown_though_no_file_is_in_memory(
    make_engine: MakeEngine, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    steps = [None for _ in engine.define(TEXTS)]
    assert len(steps) == len(TEXTS)
    assert {"Ship.dues", "take"} <= names(engine, "a.py")
    status = engine.status()
    assert (status.n_files, status.n_tokens) == (0, 0)


def test_a_suggestion_can_come_between_two_files(
    make_engine: MakeEngine, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    work = engine.define(TEXTS)
    next(work)
    assert {"Ship.dues", "take"} & names(engine, "a.py") == {"Ship.dues"}
    work.close()


def test_they_are_what_a_remembered_file_shows(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    first, second = make_engine(loaded=coder), make_engine(loaded=coder)
    for _ in first.define(TEXTS):
        pass
    ahead = first.complete(REQUEST, lambda: False)
    for path, text in TEXTS.items():
        remember(first, path, text)
        remember(second, path, text)
    later = second.complete(REQUEST, lambda: False)
    for one, other in zip(ahead.definitions, later.definitions, strict=True):
        assert one.share is not None
        # A draft has shares of several tokens added up in one pass, in another order.
        assert one == replace(other, share=pytest.approx(other.share, abs=1e-6))
    assert names(first, "a.py") == names(second, "a.py")


def test_they_are_forgotten_with_their_file(make_engine: MakeEngine, coder: LoadedModel) -> None:
    engine = make_engine(loaded=coder)
    for _ in engine.define(TEXTS):
        pass
    assert engine.forget("harbour/ship.py") is False
    assert {"Ship.dues", "take"} & names(engine, "a.py") == {"take"}
