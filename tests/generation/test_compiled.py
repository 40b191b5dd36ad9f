"""Compiled layers say what the model says, are compiled at the start alone, and may fail."""

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._inductor import config as inductor

from longllama_code.config import LongLlamaConfig
from longllama_code.engine_options import EngineOptions
from longllama_code.generation import models
from longllama_code.generation.decoding.decoder import Decoder
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel, with_compiled_layers
from longllama_code.memory.completion_memory import CompletionMemory, LocalText
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rounded.quantized import quantize
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from longllama_code.tokenizers.tokenizer import ByteTokenizer
from tests.memory.retrieval.tables import table_of

Remember = Callable[[Engine, str, str], RememberResult]

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++"),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),  # torch's, of its own
]

LIBRARY = "".join(f"def harbour_{n}(lantern):\n    return lantern * {n}\n\n\n" for n in range(9))
REQUESTS = [
    CompletionRequest(
        "new.py", "from harbour import har", "\nx = 1\n", max_tokens=12, timeout_ms=600_000
    ),
    CompletionRequest(
        "new.py", "from harbour import harbour_1\nhar", "\n", max_tokens=12, timeout_ms=600_000
    ),
    CompletionRequest(
        "b.py", LIBRARY + LIBRARY[:20], "", max_tokens=40, multiline=False, timeout_ms=600_000
    ),
]
WAYS = ["all keys", "best keys of clusters", "asking from one place", "without positions", "biases"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of our own; what other tests compile is neither found nor counted."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGLLAMA_CACHE", str(folder))
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # put back as it is now, whoever sets it
        yield folder


@pytest.fixture(autouse=True)
def compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture(params=WAYS)
def loaded(request: pytest.FixtureRequest, tiny: LoadedModel) -> LoadedModel:
    """Tiny in the ways in which layers differ."""
    if request.param == "best keys of clusters":
        read = with_fields(tiny, mem_format="int8-int4", mem_top_k=8, mem_read_keys=300)
        return replace(read, table=table_of())
    fields: dict[str, dict[str, object]] = {
        "asking from one place": {"mem_query_position": 64},
        "without positions": {"mem_positionals": False},
        "biases": {"attention_bias": True, "mlp_bias": True},
    }
    return with_fields(tiny, **fields.get(request.param, {}))


def with_fields(loaded: LoadedModel, **fields: object) -> LoadedModel:
    config = LongLlamaConfig.from_dict({**loaded.model.config.to_dict(), **fields})
    torch.manual_seed(7)
    model = LongLlamaForCausalLM(config).eval()
    model.load_state_dict(loaded.model.state_dict(), strict=False)
    for name, weights in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weights, std=0.1)
    return replace(loaded, model=model)


def answers(loaded: LoadedModel, remember: Remember) -> list[CompletionResult]:
    engine = Engine.create(loaded, None)
    remember(engine, "harbour.py", LIBRARY)
    return [engine.complete(request, lambda: False) for request in REQUESTS]


def said(found: list[CompletionResult]) -> list[object]:
    return [
        (each.text, each.stop_reason, [(s.path, s.first_line, s.last_line) for s in each.sources])
        for each in found
    ]


def test_the_same_answers_and_nothing_compiled_for_them(
    loaded: LoadedModel, remember: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = said(answers(loaded, remember))
    assert any(text for text, *_ in expected)
    assert any(sources for *_, sources in expected)
    # What would go through the layers as they are, fails now.
    monkeypatch.setattr("torch._dynamo.run", lambda compiled: compiled)
    compiled = with_compiled_layers(loaded)
    assert compiled.not_compiled is None
    assert compiled.fingerprint == loaded.fingerprint
    with torch.compiler.set_stance("fail_on_recompile"):
        assert said(answers(compiled, remember)) == expected


@torch.inference_mode()
def test_the_same_states_in_passes_of_any_length(tiny: LoadedModel, remember: Remember) -> None:
    compiled = with_compiled_layers(tiny).compiled
    assert compiled is not None
    engine = Engine.create(tiny, None)
    remember(engine, "harbour.py", LIBRARY)
    view = CompletionMemory(engine._memory, LocalText("b.py", "", 0, 0))
    ids = ByteTokenizer().encode(LIBRARY)
    for seen in (None, view):
        decoders = [Decoder(model) for model in (tiny.model, compiled)]
        start = 0
        for n in (1, 2, 1, 7, 64, 1):
            part = ids[start : start + n]
            one = decoders[0]._forward(part, seen)
            with torch.profiler.profile() as profile:
                other = decoders[1]._forward(part, seen)
            ran = sum("Torch-Compiled Region" in event.name for event in profile.events())
            assert ran == 2 * 3  # both pieces of each layer
            assert one.shape == (n, 64)
            assert torch.allclose(one, other, rtol=0, atol=1e-5 * float(one.abs().max()))
            start += n


def test_an_answer_with_drafts_is_the_one_without(
    tiny: LoadedModel, remember: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = with_compiled_layers(tiny)
    drafted = answers(compiled, remember)
    assert any(each.timings.passes < each.timings.generated_tokens for each in drafted)
    monkeypatch.setattr(
        "longllama_code.generation.decoding.speculation.Drafter.guess", lambda self: []
    )
    assert said(answers(compiled, remember)) == said(drafted)


def test_results_are_kept_for_their_owner_alone(cache: Path, tiny: LoadedModel) -> None:
    with_compiled_layers(tiny)
    folder = cache / "compiled"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert any(folder.rglob("*.so"))


def test_segments_are_those_of_the_model_itself(
    tiny: LoadedModel, remember: Remember, tmp_path: Path
) -> None:
    counts: list[tuple[int, int]] = []
    for compile in (False, True):
        engine = Engine.open(EngineOptions("tiny", tmp_path, compile=compile))
        remember(engine, "harbour.py", LIBRARY)
        status = engine.status()
        assert (status.compiled, status.not_compiled) == (compile, None)
        counts.append((status.encoded_segments, status.loaded_segments))
        engine.close()
    assert counts[0][0] > 0
    assert counts[1] == (0, counts[0][0])


def test_without_a_compiler_it_goes_on_and_says_so(
    tiny: LoadedModel, remember: Remember, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path))
    monkeypatch.setattr(inductor.cpp, "cxx", (None, "no-such-compiler"))
    engine = Engine.open(EngineOptions("tiny", persist=False, compile=True))
    status = engine.status()
    assert not status.compiled
    assert "compiler" in str(status.not_compiled)
    assert "\n" not in str(status.not_compiled)
    assert engine.complete(REQUESTS[0], lambda: False).stop_reason


def test_a_folder_that_cannot_be_had_is_a_reason(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "compiled").write_text("no folder")
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path))
    assert "FileExistsError" in str(with_compiled_layers(tiny).not_compiled)


def test_other_results_than_the_models_are_refused(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(function: Callable[..., torch.Tensor], **_: object) -> Callable[..., object]:
        if function.__name__ != "_finish":
            return function
        return lambda *given: function(*given) * 1.01

    monkeypatch.setattr(torch, "compile", wrong)
    found = with_compiled_layers(tiny)
    assert found.compiled is None
    assert "not close" in str(found.not_compiled)


def test_rounded_weights_and_kernels_are_not_for_it(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = copy.deepcopy(tiny.model)
    model.model.layers[0].mlp.up_proj = quantize(model.model.layers[0].mlp.up_proj.weight, "int8")
    found = with_compiled_layers(replace(tiny, model=model))
    assert "int8 and int4 weights" in str(found.not_compiled)
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", 0)
    engine = Engine.open(EngineOptions("tiny", persist=False, compile=True))
    assert "kernels run this model" in str(engine.status().not_compiled)
