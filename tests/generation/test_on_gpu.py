"""The whole engine as on a GPU: what it says is what it says on a CPU, with any room for memory."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longllama_code.config import LongLlamaConfig
from longllama_code.engine_options import EngineOptions
from longllama_code.generation import models
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.retrieval import row_view
from longllama_code.memory.retrieval.search import RowSearch
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from tests.memory.retrieval.tables import table_of
from tests.pretend_device import GPU, OnGpu, PretendGpu

Remember = Callable[[Engine, str, str], RememberResult]

FILES = {
    f"{name}.py": "".join(
        f"def {name}_{n}(lantern):\n    return lantern * {n} + {n + 1}\n\n\n" for n in range(4)
    )
    for name in ("harbour", "pilot", "quay")
}
REQUESTS = [
    CompletionRequest("quay.py", "def quay_3(lantern):\n    return lan", "\n", max_tokens=8),
    CompletionRequest("new.py", "from harbour import har", "\nx = 1\n", max_tokens=8),
    CompletionRequest("new.py", "from harbour import harbour_1\nhar", "\n", max_tokens=8),
]
ALL, SOME, NONE = 1 << 30, 5 * 16 * 1024, 0


@pytest.fixture(autouse=True)
def gpu() -> Iterator[None]:
    with PretendGpu():
        yield


def with_fields(loaded: LoadedModel, **fields: object) -> LoadedModel:
    config = LongLlamaConfig.from_dict({**loaded.model.config.to_dict(), **fields})
    model = LongLlamaForCausalLM(config).eval()
    model.load_state_dict(loaded.model.state_dict())
    return replace(loaded, model=model)


@pytest.fixture(params=["floats, all keys", "best keys of clusters", "copying"])
def loaded(request: pytest.FixtureRequest, tiny: LoadedModel, copying: LoadedModel) -> LoadedModel:
    if request.param == "copying":
        return copying
    if request.param == "floats, all keys":
        return tiny
    read = with_fields(tiny, mem_format="int8-int4", mem_top_k=8, mem_read_keys=300)
    return replace(read, table=table_of())


def on_gpu(loaded: LoadedModel, gpu_bytes: int, dtype: torch.dtype = torch.float32) -> LoadedModel:
    model = copy.deepcopy(loaded.model).to(GPU, dtype)
    assert all(isinstance(weight.data, OnGpu) for weight in model.parameters())
    table = None if loaded.table is None else loaded.table.to(GPU)
    return replace(loaded, model=model, table=table, gpu_bytes=gpu_bytes)


def answers(engine: Engine, remember: Remember) -> list[CompletionResult]:
    for path, text in FILES.items():
        remember(engine, path, text)
    found = [engine.complete(request, lambda: False) for request in REQUESTS]
    engine.forget("pilot.py")
    return [*found, engine.complete(REQUESTS[0], lambda: False)]


def said(found: list[CompletionResult]) -> list[object]:
    return [
        (each.text, each.stop_reason, [(s.path, s.first_line) for s in each.sources])
        for each in found
    ]


def test_the_same_as_on_a_cpu(
    loaded: LoadedModel, remember: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kernels round otherwise than tensors.
    monkeypatch.setattr(row_view, "search_of", lambda *given: RowSearch(*given[:4]))
    expected = said(answers(Engine.create(loaded, None), remember))
    assert any(text for text, *_ in expected)
    assert any(sources for *_, sources in expected)
    for gpu_bytes in (ALL, SOME, NONE):
        engine = Engine.create(on_gpu(loaded, gpu_bytes), None)
        assert said(answers(engine, remember)) == expected
        records = engine._memory.rows.records
        assert records.device == GPU
        assert records.resident_bytes <= gpu_bytes
        assert bool(records.resident) == bool(gpu_bytes)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_the_bits(loaded: LoadedModel, remember: Remember, dtype: torch.dtype) -> None:
    found = [
        said(answers(Engine.create(on_gpu(loaded, gpu_bytes, dtype), None), remember))
        for gpu_bytes in (ALL, SOME)
    ]
    assert found[0] == found[1]
    assert any(sources for *_, sources in found[0])


def test_tensors_of_two_devices_do_not_meet() -> None:
    here, there = torch.arange(3), torch.arange(3, device=GPU)
    for mixed in (lambda: here + there, lambda: here[there], lambda: torch.cat((there, here))):
        with pytest.raises(RuntimeError, match="two devices"):
            mixed()
    with pytest.raises(TypeError):
        there.numpy()
    assert torch.equal(there[here].cpu(), here)


def test_what_is_on_disk_comes_back(
    remember: Remember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_has_bfloat16", lambda: True)
    found: list[list[CompletionResult]] = []
    for _ in range(2):
        engine = Engine.open(EngineOptions("tiny", tmp_path, device="cuda:0", gpu_bytes=SOME))
        found.append(answers(engine, remember))
        status = engine.status()
        assert (status.device, status.dtype, status.store_problem) == ("cuda:0", "bfloat16", None)
        engine.close()
    assert said(found[0]) == said(found[1])
    assert status.encoded_segments == 0
    assert status.loaded_segments > 0
