"""The model where none is named: a code model, or the small one on a machine with little memory."""

import pytest

from longllama_code.model_sources import default_model
from longllama_code.model_sources.catalog import spec_of
from longllama_code.model_sources.default_model import (
    AUTO,
    LEAST_FREE_BYTES,
    Chosen,
    choose,
    chosen_model,
)


@pytest.mark.parametrize("free_bytes", [None, LEAST_FREE_BYTES, 64 << 30])
def test_where_there_is_room_it_is_the_code_model(free_bytes: int | None) -> None:
    assert choose(free_bytes) == Chosen("coder")


def test_a_small_machine_gets_the_small_model_and_is_told_why() -> None:
    chosen = choose(3 << 30)
    assert chosen.name == "mini"
    for part in ("mini", "3.0 GiB", "4 GiB", "coder", "longllama.model.path"):
        assert part in chosen.reason


def test_the_choice_stays_while_the_model_itself_takes_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free_bytes = iter([LEAST_FREE_BYTES, 0])
    monkeypatch.setattr(default_model, "available_bytes", lambda: next(free_bytes))
    default_model._default.cache_clear()
    assert [chosen_model(AUTO).name for _ in range(3)] == ["coder"] * 3
    default_model._default.cache_clear()


def test_a_named_model_is_taken_whatever_is_free() -> None:
    assert chosen_model("coder-1.5b") == Chosen("coder-1.5b")


def test_every_default_can_be_pulled() -> None:
    for name in (default_model.USUAL, default_model.SMALL):
        assert spec_of(name) is not None
