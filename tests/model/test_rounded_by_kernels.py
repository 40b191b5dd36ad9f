"""A model that was rounded as it was loaded, as large ones are: by kernels, beside its modules."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.quantized import load_quantized
from longllama_code.checkpoints.random_weights import write_vocabulary
from longllama_code.config import LongLlamaConfig
from longllama_code.engine_options import EngineOptions
from longllama_code.generation import models
from longllama_code.generation.engine import Engine
from longllama_code.model.by_kernels.kernel_model import KernelModel, drop_weights
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rounded.quantized import Int4Linear, Int8Embedding, quantize
from longllama_code.protocol import CompletionRequest
from longllama_code.weight_kinds import WEIGHT_KINDS, WeightKind

BOTH = pytest.mark.parametrize("kind", WEIGHT_KINDS)
IDS = [5 + 7 * index % 600 for index in range(90)]
FORMS = {
    "as code-7b": {},
    "grouped, biases, shared embeddings": {
        "num_key_value_heads": 2,
        "qkv_bias": True,
        "tie_word_embeddings": True,
    },
}
"""The published 7B's, and what other families have."""


def small_model(**fields: object) -> LongLlamaForCausalLM:
    """As Code 7B, of three layers whose rows kernels can read."""
    shape = {"intermediate_size": 192, "num_hidden_layers": 3, "mem_layers": [1, 2]}
    config = LongLlamaConfig(**{**FAMILY["code-7b"].scaled("small"), **shape, **fields})
    torch.manual_seed(0)
    model = LongLlamaForCausalLM(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope="module", params=FORMS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rounded") / "model"
    model = small_model(**FORMS[request.param])
    model.save_pretrained(path)
    write_vocabulary(path, model.config.vocab_size)
    return path


def loaded(folder: Path, kind: WeightKind) -> LongLlamaForCausalLM:
    return load_quantized(folder, kind, torch_attention=True)


@torch.no_grad()
def by_modules(model: LongLlamaForCausalLM, parts: list[list[int]]) -> torch.Tensor:
    cache, outputs = LongLlamaCache(model.config, spills=False), []
    for part in parts:
        start, end = cache.local_length, cache.local_length + len(part)
        positions, padding = torch.arange(start, end)[None], torch.ones(1, end).bool()
        embeds = model.model.embed_tokens(torch.tensor([part]))
        outputs.append(model.model.window(embeds, positions, padding, cache, None)[0])
    return torch.cat(outputs)


def by_kernels(kernels: KernelModel, model: LongLlamaForCausalLM, parts: list[list[int]]):
    cache = LongLlamaCache(model.config, spills=False)
    return torch.cat([kernels.run(part, cache, None) for part in parts])


def assert_near(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """As far as inputs that are rounded to 15 bits let them be."""
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= 2e-3 * wanted.abs().max()


@BOTH
def test_states_logits_and_memory_are_those_of_the_modules(folder: Path, kind: WeightKind) -> None:
    model = loaded(folder, kind)
    assert KernelModel.fits(model)
    kernels = KernelModel(model)
    parts = [IDS[:70], IDS[70:71], IDS[71:]]  # more than modules take by kernels, one, some
    found, wanted = by_kernels(kernels, model, parts), by_modules(model, parts)
    assert_near(found, wanted)
    assert_near(kernels.logits(found[-1]), model.lm_head(wanted[-1]))
    encoded = model.model.encode_memory(torch.tensor([IDS]))
    for layer, pair in kernels.encode_memory(IDS).items():
        for mine, theirs in zip(pair, encoded.pop(layer), strict=True):
            assert_near(mine, theirs)
    assert not encoded


@BOTH
@settings(deadline=None, max_examples=8)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_a_token_is_the_same_alone_and_behind_others(kind: WeightKind, sizes: list[int]) -> None:
    model = made(kind)
    kernels, ids = KernelModel(model), IDS[: sum(sizes)]
    parts = [ids[sum(sizes[:n]) : sum(sizes[: n + 1])] for n in range(len(sizes))]
    together = by_kernels(kernels, model, parts)
    assert torch.equal(together, by_kernels(kernels, model, [[token] for token in ids]))


def made(kind: WeightKind) -> LongLlamaForCausalLM:
    """A rounded model without a file."""
    model = small_model()
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear):
            model.set_submodule(name, quantize(module.weight.data, kind))
    weight = model.model.embed_tokens.weight.data
    model.set_submodule("model.embed_tokens", Int8Embedding(weight, torch.float32))
    return model


@BOTH
def test_weights_are_read_where_they_are(folder: Path, kind: WeightKind) -> None:
    model = loaded(folder, kind)
    kernels = KernelModel(model)
    drop_weights(model)
    down = model.model.layers[0].mlp.down_proj
    ours = kernels._layers[0].down
    mine, theirs = (
        (ours.packed, down.packed) if isinstance(down, Int4Linear) else (ours.codes, down.rows)
    )
    assert np.shares_memory(mine, theirs.numpy())
    assert kernels.kind == kind
    assert by_kernels(kernels, model, [IDS]).isfinite().all()


@BOTH
def test_an_engine_runs_by_them(
    folder: Path, kind: WeightKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``model.dtype`` or behind the name, and finds what it encoded."""
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", 0)
    encoded: list[int] = []
    for name, dtype in ((str(folder), kind), (f"{folder}:{kind}", "auto")):
        engine = Engine.open(EngineOptions(name, tmp_path, dtype=dtype))
        for _ in engine.remember("a.py", "def f():\n    return 1\n" * 20):
            pass
        request = CompletionRequest("b.py", "x = f", "\n", max_tokens=6)
        assert engine.complete(request, lambda: False).timings.memory_tokens > 30
        assert engine.status().dtype == kind
        encoded.append(engine.status().encoded_segments)
        engine.close()
    assert encoded[0] > 0
    assert encoded[1] == 0
