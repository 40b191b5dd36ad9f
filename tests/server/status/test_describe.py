"""Status and explanations in words."""

from dataclasses import asdict, replace
from typing import get_args

import pytest

from longllama_code.protocol import EmptyReason, EngineStatus
from lsp_server.status import describe
from lsp_server.suggestions.filters import Refusal

HELD = EngineStatus("mini", "cuda:0", "bfloat16", 0, 0, 0, 0, 0, 0, 0, 0, 0, None)


def said(engine: EngineStatus) -> str:
    files = {"in_memory": 0, "tokens": 0, "waiting": 0, "left_out": 0}
    rest = {"phase": "ready", "message": "", "last_reason": None}
    return describe.status({**rest, "files": files, "engine": asdict(engine)})


def test_whether_layers_are_compiled_and_why_not() -> None:
    assert "model mini (bfloat16 on cuda:0)." in said(HELD)
    assert "model mini (bfloat16 on cuda:0, compiled)." in said(replace(HELD, compiled=True))
    failed = said(replace(HELD, not_compiled="TritonMissing: no Triton"))
    assert "(bfloat16 on cuda:0); its layers are not compiled: TritonMissing: no Triton." in failed


def test_how_many_threads_measured_best() -> None:
    assert "threads" not in said(HELD)
    measured = replace(HELD, prompt_threads=8, decoding_threads=4)
    assert "; threads: 8 for prompts, 4 for a token)." in said(measured)


def test_a_definition_that_the_suggestion_names_is_told_first() -> None:
    timings = {"prefill_ms": 1, "decode_ms": 2, "generated_tokens": 3}
    source = {"path": "lib.py", "first_line": 3, "last_line": 9, "mass": 0.256}
    dues = {"path": "ship.py", "name": "Ship.dues", "first_line": 5, "is_named": True}
    moor = {**dues, "name": "moor", "is_named": False}
    explained = {"reason": None, "timings": timings, "sources": [source]}
    said = describe.explanation({**explained, "definitions": [moor, dues]})
    assert said == (
        "The suggestion came from ship.py:5 (Ship.dues), lib.py:3-9 (26%); 3 tokens in 3 ms."
    )
    assert "ship.py" not in describe.explanation({**explained, "definitions": [moor]})


def test_the_suggestion_is_named_and_the_model_itself_has_its_share() -> None:
    timings = {"prefill_ms": 1, "decode_ms": 2, "generated_tokens": 3}
    moor = {"path": "a.py", "name": "moor", "first_line": 5, "is_named": True, "share": 0.3}
    explained = {"reason": None, "timings": timings, "sources": [], "definitions": [moor]}
    said = describe.explanation({**explained, "text": "\n  moor(\n  x)", "ownShare": 0.7})
    assert said == (
        "The suggestion `moor(` came from a.py:5 (moor, 30%), the model itself and this file"
        " (70%); 3 tokens in 3 ms."
    )
    dues = {**moor, "name": "dues", "is_named": False, "share": 0.12}
    more = {**explained, "definitions": [moor, dues, {**dues, "share": None}], "ownShare": 0.58}
    assert "(moor, 30%), definitions that it does not name (12%), the model" in (
        describe.explanation(more)
    )
    old = describe.explanation({**explained, "text": "a" * 90, "stale": True})
    assert old.startswith(f"An earlier suggestion `{'a' * 60}…` came from")


@pytest.mark.parametrize("code", [*get_args(Refusal), *get_args(EmptyReason)])
def test_a_reason_is_said_in_words(code: str) -> None:
    assert describe.reason(code) == describe.REASONS[code]


@pytest.mark.parametrize("code", ["manual_mode", "inside_line", "inside_word", "after_bracket"])
def test_where_typing_requests_nothing_one_may_ask(code: str) -> None:
    assert "trigger it manually, or" in describe.reason(code)
