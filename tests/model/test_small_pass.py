"""Passes over a few tokens by kernels, beside the model's own."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.config import LongLlamaConfig
from longllama_code.generation import models
from longllama_code.generation.completer import Completer
from longllama_code.generation.decode import Decoder
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.kernels.quantized import QuantizedMatrix
from longllama_code.memory.view import MemoryView
from longllama_code.model.cache import LongLlamaCache
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.small_pass import MAX_TOKENS, SmallPass
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
def by_model(model: LongLlamaForCausalLM, parts: list[list[int]], view: MemoryView | None = None):
    cache, outputs = LongLlamaCache(model.config, spills=False), []
    for part in parts:
        start = cache.local_length
        positions = torch.arange(start, start + len(part))[None]
        padding = torch.ones(1, start + len(part), dtype=torch.bool)
        embeds = model.model.embed_tokens(torch.tensor([part]))
        outputs.append(model.model.window(embeds, positions, padding, cache, view)[0])
    return torch.cat(outputs)


def by_kernels(small: SmallPass, model, parts: list[list[int]], view: MemoryView | None = None):
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
    found = by_kernels(SmallPass(model), model, parts)
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
    views = [MemoryView(engine._memory, None) for _ in range(2)]
    for view in views:
        view.records_mass = True
    parts = [IDS[:7], IDS[7:8]]
    found = by_kernels(SmallPass(model), model, parts, views[0])
    wanted = by_model(rounded(model), parts, views[1])
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)
    without = by_kernels(SmallPass(model), model, parts)
    assert (found - without).abs().max() > 0.1
    for view in views:
        view.count(0)
    torch.testing.assert_close(views[0]._mass, views[1]._mass, rtol=1e-2, atol=1e-2)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, MAX_TOKENS), min_size=1, max_size=5))
def test_a_token_is_the_same_alone_and_behind_others(sizes):
    ids = [40 + 7 * index % 90 for index in range(sum(sizes))]
    small, parts, at = SmallPass(TINY.model), [], 0
    for size in sizes:
        parts.append(ids[at : at + size])
        at += size
    together = by_kernels(small, TINY.model, parts)
    assert torch.equal(together, by_kernels(small, TINY.model, [[token] for token in ids]))


def test_logits_are_those_of_the_head():
    small = SmallPass(TINY.model)
    hidden = torch.randn(TINY.model.config.hidden_size)
    head = QuantizedMatrix.of(TINY.model.lm_head.weight.detach().numpy()).floats()
    found = small.logits(hidden)
    assert found.shape == (TINY.model.config.vocab_size,)
    torch.testing.assert_close(found, torch.from_numpy(head) @ hidden, rtol=1e-2, atol=1e-2)


def test_decoding_goes_through_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts, which are longer, go through the model; the answer is that of a model so rounded."""
    small, model = SmallPass(TINY.model), TINY.model
    sizes: list[int] = []
    run = SmallPass.run
    monkeypatch.setattr(
        SmallPass,
        "run",
        lambda self, ids, *rest: (sizes.append(len(ids)), run(self, ids, *rest))[1],
    )
    decoder = Decoder(model, small=small)
    decoder.prefill([40] * (MAX_TOKENS + 2), None, lambda: False)
    steps = decoder.steps(40, None, lambda logits: int(logits.argmax()))
    assert len([next(steps) for _ in range(5)]) == 5
    assert sizes == [1] * 5


@pytest.mark.parametrize(
    "fields", [{"hidden_act": "gelu"}, {"intermediate_size": 100}, {"mlp_bias": True}], ids=str
)
def test_a_model_without_kernels_does_without(fields):
    config = LongLlamaConfig.from_dict({**TINY.model.config.to_dict(), **fields})
    assert not SmallPass.fits(LongLlamaForCausalLM(config))


def test_other_types_do_without():
    assert not SmallPass.fits(copy.deepcopy(TINY.model).half())
    assert SmallPass.fits(TINY.model)


def test_small_models_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert models.with_small_passes(TINY).small is None
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", 0)
    assert models.with_small_passes(TINY).small is not None


def test_drafts_change_nothing_of_an_answer(
    make_engine: Callable[..., Engine],
    remember: Callable[[Engine, str, str], RememberResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = make_engine()
    remember(engine, "a.py", KNOWN)
    request = CompletionRequest("b.py", KNOWN + "y = 2\n" + KNOWN[:20], "", 40, False)
    small = SmallPass(TINY.model)

    def answer():
        completer = Completer(TINY.model, TINY.tokenizer, engine._memory, small)
        return completer.complete(request, lambda: False)

    drafted = answer()
    monkeypatch.setattr("longllama_code.generation.speculation.Drafter.guess", lambda self: [])
    plain = answer()
    assert (drafted.text, drafted.stop_reason) == (plain.text, plain.stop_reason)
    for one, other in zip(drafted.sources, plain.sources, strict=True):
        assert (one.path, one.first_line) == (other.path, other.first_line)
        assert one.mass == pytest.approx(other.mass, abs=1e-4)


def test_loaded_models_keep_their_own_weights_for_longer_passes() -> None:
    before = {name: weight.clone() for name, weight in TINY.model.state_dict().items()}
    loaded: LoadedModel = replace(TINY, small=SmallPass(TINY.model))
    assert all(torch.equal(before[name], w) for name, w in loaded.model.state_dict().items())


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_kernels_have_run_once_an_engine_is_open(
    monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", cache_bytes)
    ran: list[bool] = []
    run = SmallPass.run

    def spy(self, ids, cache, memory):
        ran.append(memory is not None)
        return run(self, ids, cache, memory)

    monkeypatch.setattr(SmallPass, "run", spy)
    engine = Engine.open("tiny", persist=False)
    assert bool(ran) == (cache_bytes == 0)
    assert all(ran)
    assert engine.status().n_files == 0
