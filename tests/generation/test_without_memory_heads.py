"""A model without memory heads: it remembers what files say, and copies names from them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longllama_code.config import LongLlamaConfig
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.protocol import CompletionRequest, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

DEFINED = "LANTERN_LIMIT = 7\n"
REQUEST = CompletionRequest("b.py", "x = LANT", "\n", max_tokens=16)


@pytest.fixture(scope="module")
def plain(copying: LoadedModel) -> LoadedModel:
    """The model that copies whatever it can, without heads that attend to memory."""
    fields = {**copying.model.config.to_dict(), "mem_layers": [], "mem_heads": None}
    config = LongLlamaConfig.from_dict(fields)
    model = LongLlamaForCausalLM(config).eval()
    model.load_state_dict(copying.model.state_dict())
    return replace(copying, model=model, fingerprint="plain", table=None)


def test_a_name_is_copied_from_another_file(
    make_engine: MakeEngine, remember: Remember, plain: LoadedModel
) -> None:
    engine = make_engine(loaded=plain)
    assert engine.complete(REQUEST, lambda: False).text != "ERN_LIMIT = 7"
    remember(engine, "a.py", DEFINED)
    result = engine.complete(REQUEST, lambda: False)
    assert result.text == "ERN_LIMIT = 7"
    assert {(source.path, source.first_line) for source in result.sources} == {("a.py", 1)}
    engine.forget("a.py")
    assert engine.complete(REQUEST, lambda: False).text != "ERN_LIMIT = 7"


def test_what_it_remembers_survives_a_restart(
    make_engine: MakeEngine, remember: Remember, plain: LoadedModel, tmp_path: Path
) -> None:
    assert remember(make_engine(tmp_path, plain), "a.py", DEFINED).n_encoded == 1
    again = make_engine(tmp_path, plain)
    found = remember(again, "a.py", DEFINED)
    assert (found.n_encoded, found.n_loaded) == (0, 1)
    assert again.complete(REQUEST, lambda: False).text == "ERN_LIMIT = 7"


def test_a_changed_memory_leaves_the_prompt_read(
    make_engine: MakeEngine, remember: Remember, plain: LoadedModel, copying: LoadedModel
) -> None:
    """What no layer attends to changes no key of the local context."""
    for loaded, keeps in ((plain, True), (copying, False)):
        engine = make_engine(loaded=loaded)
        engine.complete(REQUEST, lambda: False)
        remember(engine, "a.py", DEFINED)
        timings = engine.complete(REQUEST, lambda: False).timings
        assert (timings.reused_tokens >= timings.prompt_tokens - 1) == keeps


def test_its_records_hold_tokens_alone(
    make_engine: MakeEngine, remember: Remember, plain: LoadedModel
) -> None:
    form = RecordFormat.of(plain.model.config, None)
    assert form.n_heads == 0
    engine = make_engine(loaded=plain)
    remember(engine, "a.py", DEFINED)
    (segment,) = engine._memory.files["a.py"].segments
    records = engine._memory.rows.content(segment.id)
    unpacked = form.unpack(segment.id, records, segment.page_offsets)
    assert unpacked.ids.tolist() == plain.tokenizer.encode(DEFINED)
    assert unpacked.n_tokens == len(DEFINED)
    assert unpacked.keys.shape == (0, len(DEFINED), form.head_dim)
    assert torch.equal(form.pack(unpacked), records)
