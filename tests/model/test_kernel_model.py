"""A model by kernels, beside the model itself."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.config import LongLlamaConfig
from longllama_code.engine_options import EngineOptions
from longllama_code.generation import engine as engine_module
from longllama_code.generation import models
from longllama_code.generation.completer import Completer
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.decoding.decoder import Decoder
from longllama_code.generation.engine import Engine
from longllama_code.kernels.matrices.quantized import QuantizedMatrix
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.model.by_kernels import kernel_model
from longllama_code.model.by_kernels.kernel_model import KernelModel, drop_weights
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.protocol import CompletionRequest, RememberResult

TINY = models.load("tiny")
KNOWN = "def moor(vessel, berth):\n    berth.hold(vessel)\n    return vessel.name\n\n"
IDS = list(range(40, 60))


def rounded(model: LongLlamaForCausalLM) -> LongLlamaForCausalLM:
    """A model whose weights are what the 8-bit codes of another's stand for."""
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, torch.nn.Linear) and module is not other.lm_head:
            floats = QuantizedMatrix.of(module.weight.detach().numpy()).floats()
            module.weight.data = torch.from_numpy(floats)
    return other


def with_config(**fields: object) -> LongLlamaForCausalLM:
    config = LongLlamaConfig.from_dict({**TINY.model.config.to_dict(), **fields})
    model = LongLlamaForCausalLM(config).eval()
    model.load_state_dict(TINY.model.state_dict(), strict=False)
    return model


@torch.inference_mode()
def by_model(
    model: LongLlamaForCausalLM, parts: list[list[int]], view: CompletionMemory | None = None
):
    cache, outputs = LongLlamaCache(model.config, spills=False), []
    for part in parts:
        start = cache.local_length
        positions = torch.arange(start, start + len(part))[None]
        padding = torch.ones(1, start + len(part), dtype=torch.bool)
        embeds = model.model.embed_tokens(torch.tensor([part]))
        outputs.append(model.model.window(embeds, positions, padding, cache, view)[0])
    return torch.cat(outputs)


def by_kernels(
    small: KernelModel, model, parts: list[list[int]], view: CompletionMemory | None = None
):
    cache = LongLlamaCache(model.config, spills=False)
    return torch.cat([small.run(part, cache, view) for part in parts])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"mem_positionals": False},
        {"qkv_bias": True},
        {
            "rope_scaling": {"rope_type": "linear", "factor": 4.0},
            "mem_layers": [],
            "mem_heads": None,
        },
        {"num_key_value_heads": 4, "mem_heads": None},
    ],
    ids=str,
)
def test_hidden_states_are_those_of_the_model(fields):
    torch.manual_seed(3)
    if "num_key_value_heads" in fields:
        config = LongLlamaConfig.from_dict({**TINY.model.config.to_dict(), **fields})
        model = LongLlamaForCausalLM(config).eval()
    else:
        model = with_config(**fields)
    if "qkv_bias" in fields:
        for layer in model.model.layers:
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                torch.nn.init.normal_(projection.bias, std=0.5)
    parts = [IDS[:1], IDS[1:9], IDS[9:]]
    found = by_kernels(KernelModel(model), model, parts)
    torch.testing.assert_close(found, by_model(rounded(model), parts), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("query_position", [None, 256])
@pytest.mark.parametrize("top_k", [None, 4])
def test_memory_is_seen_in_the_same_softmax(
    make_engine: Callable[..., Engine],
    remember: Callable[[Engine, str, str], RememberResult],
    query_position: int | None,
    top_k: int | None,
) -> None:
    model = with_config(mem_top_k=top_k, mem_query_position=query_position)
    engine = make_engine(loaded=replace(TINY, model=model))
    remember(engine, "a.py", KNOWN)
    views = [CompletionMemory(engine._memory, None) for _ in range(2)]
    for view in views:
        view.records_attention = True
    parts = [IDS[:7], IDS[7:8]]
    found = by_kernels(KernelModel(model), model, parts, views[0])
    wanted = by_model(rounded(model), parts, views[1])
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)
    without = by_kernels(KernelModel(model), model, parts)
    assert (found - without).abs().max() > 0.1
    for view in views:
        view.count(0)
    torch.testing.assert_close(views[0]._mass, views[1]._mass, rtol=1e-2, atol=1e-2)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_token_is_the_same_alone_and_behind_others(sizes):
    ids = [40 + 7 * index % 90 for index in range(sum(sizes))]
    small, parts, at = KernelModel(TINY.model), [], 0
    for size in sizes:
        parts.append(ids[at : at + size])
        at += size
    together = by_kernels(small, TINY.model, parts)
    assert torch.equal(together, by_kernels(small, TINY.model, [[token] for token in ids]))


def test_logits_are_those_of_the_head():
    small = KernelModel(TINY.model)
    hidden = torch.randn(TINY.model.config.hidden_size)
    head = QuantizedMatrix.of(TINY.model.lm_head.weight.detach().numpy()).floats()
    found = small.logits(hidden)
    assert found.shape == (TINY.model.config.vocab_size,)
    torch.testing.assert_close(found, torch.from_numpy(head) @ hidden, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_threads_change_nothing(n_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longllama_code.kernels.sharing.threads.LEAST_GAIN", 0)
    ids = [40 + 7 * index % 90 for index in range(100)]
    several = KernelModel(TINY.model, n_threads)
    assert several._threads.n_threads == n_threads
    wanted = by_kernels(KernelModel(TINY.model), TINY.model, [ids])
    assert torch.equal(by_kernels(several, TINY.model, [ids]), wanted)


def test_prompts_and_single_tokens_may_have_different_threads() -> None:
    ids = [40 + 7 * index % 90 for index in range(60)]
    parts = [ids[:48], *([token] for token in ids[48:])]
    alone = KernelModel(TINY.model)
    assert alone.decoding_threads is alone.threads
    several = KernelModel(TINY.model)
    several._threads, several._few_threads = Threads(3), Threads(2)
    assert (several.threads.n_threads, several.decoding_threads.n_threads) == (3, 2)
    assert torch.equal(by_kernels(several, TINY.model, parts), by_kernels(alone, TINY.model, parts))


@pytest.mark.parametrize("fields", [{}, {"mem_positionals": False}], ids=str)
def test_what_is_encoded_is_what_the_model_encodes(fields):
    model = with_config(**fields)
    found = KernelModel(model).encode_memory(IDS)
    wanted = rounded(model).model.encode_memory(torch.tensor([IDS]))
    assert found.keys() == wanted.keys()
    for layer, pair in wanted.items():
        torch.testing.assert_close(found[layer], pair, rtol=1e-2, atol=1e-2)


def test_decoding_goes_through_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = copy.deepcopy(TINY.model)
    kernels = KernelModel(model)
    drop_weights(model)
    decoder = Decoder(model, kernels=kernels)
    decoder.prefill(IDS * 9, None, lambda: False)
    steps = decoder.steps(IDS * 9, None, lambda logits: int(logits.argmax()))
    assert len([next(steps) for _ in range(5)]) == 5


@pytest.mark.parametrize(
    "fields",
    [{"hidden_act": "gelu"}, {"intermediate_size": 100}, {"mlp_bias": True}, {"head_dim": 18}],
    ids=str,
)
def test_a_model_without_kernels_does_without(fields):
    config = LongLlamaConfig.from_dict({**TINY.model.config.to_dict(), **fields})
    assert not KernelModel.fits(LongLlamaForCausalLM(config))


def test_other_types_do_without():
    assert not KernelModel.fits(copy.deepcopy(TINY.model).half())
    assert KernelModel.fits(TINY.model)


def test_small_models_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = models.load("tiny")
    assert models.with_kernels(loaded) is loaded
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", 0)
    assert models.with_kernels(loaded).kernels is not None


def test_weights_are_not_held_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", 0)
    loaded = models.load("tiny")
    by_kernels = models.with_kernels(loaded)
    held = [weights for weights in by_kernels.model.parameters() if weights.device.type != "meta"]
    assert sum(weights.nbytes for weights in held) < 2 * held[0].nbytes
    assert by_kernels.model.device.type == "cpu"
    assert by_kernels.fingerprint != loaded.fingerprint
    assert by_kernels.fingerprint == models.with_kernels(models.load("tiny")).fingerprint


def test_an_engine_encodes_and_completes_by_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it keeps on disk is not taken for what the model itself encodes."""
    counts: list[tuple[int, int]] = []
    for cache_bytes in (1 << 30, 0, 0):
        monkeypatch.setattr(models, "CPU_CACHE_BYTES", cache_bytes)
        engine = Engine.open(EngineOptions("tiny", tmp_path))
        for _ in engine.remember("a.py", KNOWN):
            pass
        request = CompletionRequest("b.py", KNOWN[:20], "", 20, multiline=False)
        assert engine.complete(request, lambda: False).timings.generated_tokens
        status = engine.status()
        counts.append((status.encoded_segments, status.loaded_segments))
        engine.close()
    assert counts == [(1, 0), (1, 0), (0, 1)]


def test_drafts_change_nothing_of_an_answer(
    make_engine: Callable[..., Engine],
    remember: Callable[[Engine, str, str], RememberResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = make_engine()
    remember(engine, "a.py", KNOWN)
    request = CompletionRequest("b.py", KNOWN + "y = 2\n" + KNOWN[:20], "", 40, multiline=False)
    small = KernelModel(TINY.model)
    small.drafts_pay = True

    def answer():
        completer = Completer(CompletionModel(TINY.model, TINY.tokenizer, small), engine._memory)
        return completer.complete(request, lambda: False)

    drafted = answer()
    monkeypatch.setattr(
        "longllama_code.generation.decoding.speculation.Drafter.guess", lambda self: []
    )
    plain = answer()
    assert (drafted.text, drafted.stop_reason) == (plain.text, plain.stop_reason)
    for one, other in zip(drafted.sources, plain.sources, strict=True):
        assert (one.path, one.first_line) == (other.path, other.first_line)
        assert one.mass == pytest.approx(other.mass, abs=1e-4)


@pytest.mark.parametrize(("cost", "pays"), [(1.2, True), (1.9, True), (2.1, False), (4.0, False)])
def test_drafts_are_left_out_where_verifying_them_takes_longer(
    cost: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def seconds(works):
        measured.extend(len(work.args[0]) for work in works)
        return [0.5, 0.5 * cost]

    monkeypatch.setattr(kernel_model, "least_seconds", seconds)
    small = KernelModel(TINY.model)
    assert measured == [1, kernel_model.DRAFTED_ROWS]
    assert small.drafts_pay is pays
    assert Decoder(TINY.model, kernels=small).drafts_pay is pays
    assert Decoder(TINY.model).drafts_pay


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of tokens of each run of kernels."""
    found: list[int] = []
    run = KernelModel.run

    def spy(self, ids, cache, memory=None):
        found.append(len(ids))
        return run(self, ids, cache, memory)

    monkeypatch.setattr(KernelModel, "run", spy)
    return found


def test_kernels_that_are_compiled_run_first_when_nobody_waits(
    ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", 0)
    monkeypatch.setattr(engine_module, "were_compiled", lambda _: True)
    engine = Engine.open(EngineOptions("tiny", persist=False))
    assert not ran
    engine.warm_up()
    assert ran
    assert engine.status().n_files == 0


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_kernels_that_are_not_compiled_have_run_once_an_engine_is_open(
    ran: list[int], monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", cache_bytes)
    noted: list[str] = []
    monkeypatch.setattr(engine_module, "were_compiled", lambda _: False)
    monkeypatch.setattr(engine_module, "note_compiled", noted.append)
    engine = Engine.open(EngineOptions("tiny", persist=False))
    assert bool(ran) == (cache_bytes == 0)
    assert noted == ([engine.fingerprint] if ran else [])
    assert engine.status().n_files == 0
    assert engine.status().dtype == ("float32" if cache_bytes else "int8")
    assert (
        Engine.open(EngineOptions("tiny", persist=False, dtype="float32")).status().dtype
        == "float32"
    )
