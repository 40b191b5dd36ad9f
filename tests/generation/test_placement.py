"""Where a model runs and what it computes in, as settings say it."""

import pytest
import torch

from longllama_code.engine_options import EngineOptions
from longllama_code.errors import CheckpointError, ModelNotFound
from longllama_code.generation import models
from longllama_code.generation.engine import Engine


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, torch.dtype]]:
    """What was asked of ``load``, which loads nothing."""
    calls: list[tuple[str, str, torch.dtype]] = []
    monkeypatch.setattr(models, "load", lambda *given, **_: calls.append(given))
    return calls


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("mini",), ("mini", "cpu", torch.float32)),
        (("mini", "auto", "bfloat16"), ("mini", "cpu", torch.bfloat16)),
        (("mini", "cuda:1"), ("mini", "cuda:1", torch.bfloat16)),
        (("mini", "cuda", "float16"), ("mini", "cuda", torch.float16)),
        (("mini", "mps"), ("mini", "mps", torch.float16)),
        (("mini", "xpu"), ("mini", "xpu", torch.bfloat16)),
        (("mini", "cuda", "int4"), ("mini:int4", "cuda", torch.bfloat16)),
        (("mini", "auto", "int8"), ("mini:int8", "cpu", torch.float32)),
        (("mini:int4", "auto", "int4"), ("mini:int4", "cpu", torch.float32)),
        (("tiny", "cpu", "int8"), ("tiny", "cpu", torch.float32)),
    ],
)
def test_what_settings_name(
    asked: list[tuple[str, str, torch.dtype]],
    given: tuple[str, ...],
    expected: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "_has_bfloat16", lambda: True)
    models.load_placed(*given)
    assert asked == [expected]


def test_a_card_without_bfloat16_takes_float16(
    asked: list[tuple[str, str, torch.dtype]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_has_bfloat16", lambda: False)
    models.load_placed("mini", "cuda")
    assert asked == [("mini", "cuda", torch.float16)]


def test_what_contradicts_itself_or_is_not_there() -> None:
    with pytest.raises(CheckpointError, match=r"names int4, and model\.dtype is int8"):
        models.load_placed("mini:int4", "auto", "int8")
    with pytest.raises(CheckpointError, match="no-such-device"):
        models.load_placed("tiny", "no-such-device")
    with pytest.raises(ModelNotFound):
        models.load_placed("/nowhere")


def test_an_engine_takes_both() -> None:
    engine = Engine.open(EngineOptions("tiny", persist=False, device="cpu", dtype="auto"))
    assert (engine.status().device, engine.status().dtype) == ("cpu", "float32")
    engine.close()
