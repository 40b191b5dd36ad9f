"""Requests that want definitions as memory: what they see, wait for, and encode once."""

from dataclasses import replace
from pathlib import Path

import pytest

from longllama_code.errors import Cancelled
from longllama_code.generation.definition_memory.kept_definitions import KeptDefinitions
from longllama_code.generation.definition_memory.memory import DefinitionMemory
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EncodedDefinitions,
)
from tests.conftest import finish
from tests.generation import harbour
from tests.generation.harbour import MakeEngine, Remember, shown

SHIP = """\
class Ship:
    def dues(self, rate):
        return self.tonnes * rate


def moor(ship, berth):
    return berth.take(ship)
"""
REQUEST = replace(harbour.REQUEST, repository_context="memory", timeout_ms=600_000)
IN_PROMPT = replace(REQUEST, repository_context="definitions", path="prompt.py")
AT_ONCE = replace(REQUEST, timeout_ms=0)
PATH = "harbour/ship.py"


def complete(engine: Engine, request: CompletionRequest = REQUEST) -> CompletionResult:
    return harbour.complete(engine, request)


def encode_all(engine: Engine) -> None:
    while finish(engine.encode_definitions()).n_left:
        pass


def memory_of(engine: Engine) -> DefinitionMemory:
    memory = engine._model.definitions
    assert memory is not None
    return memory


@pytest.fixture
def engine(make_engine: MakeEngine, remember: Remember, coder: LoadedModel) -> Engine:
    made = make_engine(loaded=coder)
    remember(made, PATH, SHIP)
    return made


def test_definitions_are_seen_and_are_no_part_of_the_prompt(engine: Engine) -> None:
    alone = complete(engine, replace(REQUEST, definition_tokens=0, path="alone.py"))
    found, in_prompt = complete(engine), complete(engine, IN_PROMPT)
    assert {"Ship", "Ship.dues", "moor"} <= shown(found)
    assert shown(found) == shown(in_prompt)
    assert found.timings.prompt_tokens == alone.timings.prompt_tokens + 1  # of the path
    assert in_prompt.timings.prompt_tokens > found.timings.prompt_tokens + 50
    (dues,) = (each for each in found.definitions if each.name == "Ship.dues")
    assert (dues.path, dues.first_line) == (PATH, 2)
    assert dues.reason
    prepared = engine._model.readings.of(engine._sources.pieces, "office.py").current
    assert prepared.decoder._placed is not None


def test_what_was_encoded_is_not_encoded_again(engine: Engine) -> None:
    complete(engine)
    n_encoded = memory_of(engine).n_encoded
    assert n_encoded == 2
    typed = replace(REQUEST, prefix=REQUEST.prefix + "du")
    again = complete(engine, typed)
    assert memory_of(engine).n_encoded == n_encoded
    assert again.timings.reused_tokens >= again.timings.prompt_tokens - 4
    other = complete(engine, replace(REQUEST, path="other.py"))
    assert shown(other) == shown(again)
    assert memory_of(engine).n_encoded == n_encoded


def test_without_time_they_are_left_out_until_they_are_encoded(engine: Engine) -> None:
    assert complete(engine, AT_ONCE).stop_reason == "deadline"
    assert memory_of(engine).n_encoded == 0
    encode_all(engine)
    assert memory_of(engine).n_encoded == 2
    found = complete(engine, replace(REQUEST, path="other.py"))
    assert {"Ship", "moor"} <= shown(found)
    assert memory_of(engine).n_encoded == 2


def test_a_request_ahead_takes_up_what_has_been_encoded_since(engine: Engine) -> None:
    complete(engine, AT_ONCE)
    encode_all(engine)
    ahead = replace(REQUEST, prefix=REQUEST.prefix + "dues(", is_ahead=True)
    assert "Ship.dues" in shown(complete(engine, ahead))
    after = complete(engine, replace(ahead, is_ahead=False))
    assert "Ship.dues" in shown(after)
    assert after.timings.reused_tokens >= after.timings.prompt_tokens - 4


def test_typing_keeps_the_working_set(engine: Engine, remember: Remember) -> None:
    remember(engine, "tide.py", "def ebb(hours): ...\n")
    before = complete(engine)
    assert "ebb" not in shown(before)
    typed = replace(REQUEST, prefix=REQUEST.prefix + "dues(1)\n\n\nimport tide\ntide.")
    assert shown(complete(engine, typed)) == shown(before)
    assert "ebb" in shown(complete(engine, replace(typed, is_ahead=True)))
    assert "ebb" in shown(complete(engine, typed))


def test_an_edit_of_another_file_costs_no_reading_until_there_is_time(
    engine: Engine, remember: Remember
) -> None:
    complete(engine)
    remember(engine, PATH, SHIP.replace("dues", "fees"))
    readings = engine._model.readings.of(engine._sources.pieces, "office.py")
    found = complete(engine)
    assert "Ship.fees" in shown(found)
    assert "Ship.dues" not in shown(found)
    assert found.timings.reused_tokens >= found.timings.prompt_tokens - 4
    assert readings.current.decoder.is_stale
    ahead = complete(engine, replace(REQUEST, is_ahead=True))
    assert ahead.timings.reused_tokens < 10
    after = complete(engine)
    assert after.timings.reused_tokens >= after.timings.prompt_tokens - 4
    assert not readings.current.decoder.is_stale
    assert shown(after) == shown(found)


def test_an_edit_encodes_what_it_changed_alone(engine: Engine, remember: Remember) -> None:
    complete(engine)
    n_encoded = memory_of(engine).n_encoded
    remember(engine, PATH, "# a line above\n" + SHIP)
    complete(engine)
    assert memory_of(engine).n_encoded == n_encoded
    remember(engine, PATH, SHIP.replace("dues", "duties"))
    found = complete(engine)
    assert shown(found) & {"Ship.dues", "Ship.duties"} == {"Ship.duties"}
    assert memory_of(engine).n_encoded == n_encoded + 1
    engine.forget(PATH)
    assert complete(engine).definitions == []


def test_it_ends_where_it_is_cancelled(engine: Engine) -> None:
    calls = iter([False, True])
    with pytest.raises(Cancelled):
        engine.complete(REQUEST, lambda: next(calls, True))
    found = complete(engine)
    fresh = complete(engine, replace(REQUEST, path="other.py"))
    assert shown(found) == shown(fresh)


def test_the_background_goes_from_what_is_used_to_what_is_near(
    engine: Engine, remember: Remember
) -> None:
    remember(engine, "harbour/near.py", "def near(): ...\n")
    remember(engine, "far/away/from/it.py", "def far(): ...\n")
    assert finish(engine.encode_definitions()) == EncodedDefinitions()
    assert memory_of(engine).n_encoded == 0  # nobody asked for definitions as memory
    complete(engine, replace(AT_ONCE, path="harbour/office.py"))
    kept = memory_of(engine).kept
    order = list[int]()
    step = EncodedDefinitions(0, 1)
    while step.n_left:
        step = finish(engine.encode_definitions())
        order.append(kept.totals()[0])
        assert engine.status().files_to_encode <= step.n_left
        assert sum(order[-1:]) - sum(order[-2:-1]) == step.n_encoded
    assert order[0] == 2
    assert order[-1] == 4
    assert engine.status().encoded_definitions == 4


def test_the_nearest_file_is_encoded_before_the_others(engine: Engine, remember: Remember) -> None:
    remember(engine, "far/away/from/it.py", "def far(): ...\n")
    remember(engine, "harbour/near.py", "def near(): ...\n")
    complete(engine, replace(AT_ONCE, path="harbour/office.py", prefix="x = ", suffix=""))
    pieces, memory = engine._sources.pieces, memory_of(engine)
    order = list[str]()
    while finish(engine.encode_definitions()).n_left:
        for path in ("harbour/near.py", "far/away/from/it.py"):
            if path not in order and memory.has("port", pieces.of(path)[0]):
                order.append(path)
    assert order[0] == "harbour/near.py"


def test_a_restart_encodes_nothing(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel, tmp_path: Path
) -> None:
    for n_encoded in (2, 0):
        kept = KeptDefinitions.on_disk(tmp_path, coder.model.config, coder.fingerprint, None)
        engine = Engine.create(coder, None, definitions=kept)
        remember(engine, PATH, SHIP)
        assert {"Ship", "moor"} <= shown(complete(engine))
        assert memory_of(engine).n_encoded == n_encoded
        engine.close()


def test_a_damaged_manifest_is_begun_anew_and_told(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel, tmp_path: Path
) -> None:
    (tmp_path / "manifest.sqlite").write_bytes(b"no manifest" * 400)
    kept = KeptDefinitions.on_disk(tmp_path, coder.model.config, coder.fingerprint, None)
    engine = Engine.create(coder, None, definitions=kept)
    remember(engine, PATH, SHIP)
    assert {"Ship", "moor"} <= shown(complete(engine))
    assert memory_of(engine).kept.problem is not None
    assert "was damaged" in memory_of(engine).kept.problem
    engine.close()


def test_repositories_over_one_model_share_nothing_but_the_store(
    engine: Engine, remember: Remember
) -> None:
    other = engine.fork()
    assert complete(engine).definitions
    assert complete(other, replace(REQUEST, path="x.py")).definitions == []
    remember(other, PATH, SHIP)
    assert complete(other, replace(REQUEST, path="y.py")).definitions
    assert memory_of(engine).n_encoded == 2
    other.release()


def test_the_store_is_cleared_with_the_rest(engine: Engine) -> None:
    complete(engine)
    before = engine.status()
    assert before.encoded_definitions == 2
    assert before.definition_bytes > 0
    assert engine.clear_store().n_bytes >= before.definition_bytes
    assert engine.status().encoded_definitions == 0
    assert {"Ship", "moor"} <= shown(complete(engine, replace(REQUEST, path="other.py")))


def test_a_repository_with_a_name_of_thousands_of_characters_is_completed(engine: Engine) -> None:
    named = replace(REQUEST, repository="n" * 9000)
    result = complete(engine, named)
    assert result.stop_reason != "deadline"
    assert result.definitions == []
    encode_all(engine)
    assert memory_of(engine).n_encoded == 0
