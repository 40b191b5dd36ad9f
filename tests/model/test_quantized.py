"""Weights in 8 and 4 bits: what rounding costs, loading tensor by tensor, refusals with numbers."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import embedding, linear

from longllama_code.checkpoints import ram
from longllama_code.checkpoints.loading import load_model
from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.quantized import load_quantized, memory_need
from longllama_code.checkpoints.random_weights import write_random
from longllama_code.checkpoints.weight_files import tensors
from longllama_code.config import LongLlamaConfig
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import CheckpointError
from longllama_code.generation import models
from longllama_code.generation.engine import Engine
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rounded.quantized import (
    FEW_TOKENS,
    Int8Embedding,
    quantize,
    stored_bytes,
)
from longllama_code.protocol import CompletionRequest
from longllama_code.weight_kinds import WEIGHT_KINDS, WeightKind

IDS = torch.arange(60)[None] * 11 % 600
BOTH = pytest.mark.parametrize("kind", WEIGHT_KINDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantized") / "code"
    write_random(FAMILY["code-7b"], path, scale="small", shard_bytes=1_000_000)
    return path


@BOTH
@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 99),
    shape=st.tuples(st.integers(1, 70), st.sampled_from([2, 6, 32, 176, 320])),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_rounding_is_bounded(
    kind: WeightKind, seed: int, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    """By half a step of each weight: the largest of its row or group, by 127 or by 7."""
    torch.manual_seed(seed)
    weight = torch.randn(shape).to(dtype)
    module = quantize(weight, kind)
    eye = torch.eye(shape[1])
    kept = module(eye).T
    group = shape[1] if kind == "int8" else module.group
    largest = weight.float().unflatten(1, (-1, group)).abs().amax(-1).repeat_interleave(group, 1)
    step = largest / (127 if kind == "int8" else 7)
    assert ((kept - weight.float()).abs() <= 0.502 * step + 1e-6).all()
    assert sum(b.numel() * b.element_size() for b in module.buffers()) == stored_bytes(
        weight.shape, kind
    )


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 99),
    shape=st.tuples(st.integers(1, 9), st.sampled_from([2, 6, 64, 176])),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_rounding_is_that_of_torch(seed: int, shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Bit for bit, ties to even; zeros, a row of nothing and the largest numbers among them."""
    torch.manual_seed(seed)
    weight = torch.randn(shape).mul(40).to(dtype)
    weight[0] = torch.randint(-127, 128, shape[1:]) / 2  # ties, where 127 is among them
    weight[0, 0], weight[-1, -1] = 63.5, 0.0
    floats = weight.float()
    eight = quantize(weight, "int8")
    scales = floats.abs().amax(1).div(127).clamp(min=torch.finfo(torch.float32).tiny)
    assert torch.equal(eight.scales, scales)
    assert torch.equal(eight.rows, (floats / scales[:, None]).round().to(torch.int8))
    four = quantize(weight, "int4")
    grouped = floats.unflatten(1, (-1, four.group))
    scales = grouped.abs().amax(-1).div(7).half()
    divisors = scales.float().clamp(min=torch.finfo(torch.float16).tiny)
    levels = (grouped / divisors[..., None]).round().clamp(-8, 7).add(8).to(torch.uint8).flatten(1)
    assert torch.equal(four.scales, scales)
    assert torch.equal(four.packed, levels[:, 0::2] | (levels[:, 1::2] << 4))


@BOTH
@pytest.mark.parametrize("n_rows", [1, 33, 300])
def test_threads_share_the_rounding(kind: WeightKind, n_rows: int) -> None:
    weight = torch.randn(n_rows, 8192, generator=torch.Generator().manual_seed(0))
    alone, shared = quantize(weight, kind), quantize(weight, kind, None, Threads(3))
    for one, other in zip(alone.buffers(), shared.buffers(), strict=True):
        assert torch.equal(one, other)


@BOTH
def test_a_result_depends_on_its_own_row_alone(kind: WeightKind) -> None:
    torch.manual_seed(0)
    bias = nn.Parameter(torch.randn(300))
    module = quantize(torch.randn(300, 64), kind, bias)
    hidden = torch.randn(2, FEW_TOKENS, 64)  # more than go through kernels
    loud = hidden.clone()
    loud[:, 1:] *= 1000
    assert torch.allclose(module(hidden)[:, 0], module(loud)[:, 0], atol=1e-5)
    dense = linear(torch.eye(64), module(torch.eye(64)).T - bias[:, None])
    assert torch.allclose(module(hidden), linear(hidden, dense.T, bias), atol=1e-4)
    assert module(hidden.bfloat16()).dtype == torch.bfloat16


@BOTH
def test_few_tokens_are_the_same_alone(kind: WeightKind) -> None:
    """Bit for bit, as verified drafts need it; and beside many, but for the rounding of inputs."""
    torch.manual_seed(0)
    module = quantize(torch.randn(300, 128), kind, nn.Parameter(torch.randn(300)))
    hidden = torch.randn(1, FEW_TOKENS, 128)
    together = module(hidden)
    for token in range(FEW_TOKENS):
        assert torch.equal(module(hidden[:, token : token + 1]), together[:, token : token + 1])
    beside_others = module(torch.cat([hidden, torch.randn(1, 1, 128)], dim=1))
    assert (beside_others[:, :FEW_TOKENS] - together).abs().max() <= 1e-3 * together.abs().max()
    assert module(hidden[:, :0]).shape == (1, 0, 300)


@BOTH
@pytest.mark.parametrize("weight", [torch.zeros(3, 8), torch.full((3, 8), 1e-30)])
def test_weights_of_nothing(kind: WeightKind, weight: torch.Tensor) -> None:
    assert quantize(weight, kind)(torch.ones(1, 8)).abs().max() <= 1e-3


def test_odd_rows_have_no_4_bits() -> None:
    with pytest.raises(CheckpointError, match=r"rows of 7 weights.*int8"):
        quantize(torch.ones(2, 7), "int4")


def test_embeddings_and_the_head_that_shares_them() -> None:
    torch.manual_seed(0)
    weight = torch.randn(50, 16)
    module = Int8Embedding(weight, torch.float32)
    ids = torch.tensor([[3, 49], [0, 3]])
    assert (module(ids) - embedding(ids, weight)).abs().max() <= weight.abs().max() / 127
    head, hidden = module.as_linear(), torch.randn(4, 16)
    assert torch.allclose(head(hidden), linear(hidden, module(torch.arange(50))), atol=1e-5)
    assert head.rows is module.rows


def dequantized(folder: Path, kind: WeightKind, **overrides: Any) -> LongLlamaForCausalLM:
    """The same model, with the rounded weights as plain ones."""
    model = load_model(folder, **overrides)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and name != "lm_head":
            rounded = quantize(module.weight.data, kind, None)
            module.weight.data = rounded(torch.eye(module.in_features)).T.contiguous()
    rows = Int8Embedding(model.model.embed_tokens.weight.data, torch.float32)
    head = quantize(model.lm_head.weight.data, "int8")
    model.model.embed_tokens.weight.data = rows(torch.arange(rows.num_embeddings))
    if not model.config.tie_word_embeddings:
        model.lm_head.weight.data = head(torch.eye(model.config.hidden_size)).T.contiguous()
    return model


@BOTH
@pytest.mark.parametrize(("few", "most"), [(0, 1e-4), (FEW_TOKENS, 1e-3)])
@torch.no_grad()
def test_the_model_is_that_of_the_rounded_weights(
    folder: Path, kind: WeightKind, few: int, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the plain form, and by kernels, which round inputs too."""
    monkeypatch.setattr("longllama_code.model.rounded.quantized.FEW_TOKENS", few)
    logits = load_quantized(folder, kind)(IDS, last_context_length=8).logits
    plain = dequantized(folder, kind)(IDS, last_context_length=8).logits
    assert (logits - plain).abs().max() <= most * plain.abs().max()


@BOTH
@torch.no_grad()
def test_biases_and_shared_embeddings(kind: WeightKind, tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    torch.manual_seed(0)
    config = LongLlamaConfig(
        **shape, num_hidden_layers=2, vocab_size=640, qkv_bias=True, tie_word_embeddings=True
    )
    made = LongLlamaForCausalLM(config)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    made.save_pretrained(tmp_path)
    logits = load_quantized(tmp_path, kind)(IDS).logits
    plain = dequantized(tmp_path, kind)(IDS).logits
    assert (logits - plain).abs().max() <= 1e-4 * plain.abs().max()


@torch.no_grad()
def test_files_of_any_kind(folder: Path, tmp_path: Path) -> None:
    """Shards, one file, safetensors, and ``.bin`` of the time before mapping."""
    wanted = load_quantized(folder, "int8")(IDS).logits
    weights = {
        name: weight.clone()
        for path in sorted(folder.glob("*.bin"))
        for name, weight in tensors(path)
    }
    writers: dict[str, Callable[[Path], object]] = {
        "model.safetensors": lambda path: save_file(weights, path),
        "pytorch_model.bin": lambda path: torch.save(weights, path),
        "old/pytorch_model.bin": lambda path: torch.save(
            weights, path, _use_new_zipfile_serialization=False
        ),
    }
    for number, (file, write) in enumerate(writers.items()):
        other = tmp_path / str(number)
        other.mkdir()
        (other / "config.json").write_bytes((folder / "config.json").read_bytes())
        write(other / Path(file).name)
        assert torch.equal(load_quantized(other, "int8")(IDS).logits, wanted)
    old, new = (memory_need(tmp_path / number, "int8") for number in "21")
    assert old.working - new.working == (tmp_path / "2" / "pytorch_model.bin").stat().st_size


@BOTH
def test_the_need_is_what_the_model_has(folder: Path, kind: WeightKind) -> None:
    model = load_quantized(folder, kind)
    rotary = sum(b.numel() * b.element_size() for b in model.model.rotary.buffers())
    kept = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    assert memory_need(folder, kind).weights == kept - rotary


@pytest.mark.parametrize(
    ("name", "kind", "most_gb"),
    [("code-7b", "int8", 8.0), ("code-7b", "int4", 5.0), ("3b", "int4", 2.8)],
)
def test_the_need_at_full_size(name: str, kind: WeightKind, most_gb: float, tmp_path: Path) -> None:
    """From the configuration alone: no weight is read."""
    (tmp_path / "config.json").write_text(json.dumps(FAMILY[name].scaled("full")))
    torch.save({}, tmp_path / "pytorch_model.bin")
    assert memory_need(tmp_path, kind).peak <= most_gb * 10**9


@pytest.mark.parametrize("name", ["", ":int8", ":int4"])
def test_too_little_memory_is_refused(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ram, "available_bytes", lambda: 100_000)
    with pytest.raises(CheckpointError, match=r"takes 0\.\d\d GB of memory, and 0\.00 GB are"):
        models.load(f"{folder}{name}")


def test_what_is_available_is_known() -> None:
    found = ram.available_bytes()
    assert found is None or 10**7 < found < 10**15


def damage_shape(folder: Path) -> None:
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "vocab_size": 700}))


def save_instead(weights: object, folder: Path) -> None:
    torch.save(weights, folder / "pytorch_model-00001-of-00004.bin")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_shape, r"shape \(656, 64\), not \(700, 64\)"),
        (lambda path: (path / "pytorch_model-00002-of-00004.bin").unlink(), r"lacks \d+ weights"),
        (lambda path: (path / "pytorch_model-00002-of-00004.bin").write_bytes(b"x"), "is damaged"),
        (lambda path: [file.unlink() for file in path.glob("*.bin")], "has no weights"),
        *(
            (partial(save_instead, weights), "could not be read: it has no tensors by name")
            for weights in ([torch.ones(2)], torch.ones(2), None)
        ),
        *(
            (partial(save_instead, weights), r"lacks \d+ weights")
            for weights in ({"a": 1}, {1: torch.ones(2)}, {})
        ),
    ],
)
def test_damage_is_refused(
    folder: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load_quantized(tmp_path, "int8")


def test_the_product(folder: Path) -> None:
    """Behind a model's name, kept apart from the float model's memory."""
    engine = Engine.open(EngineOptions(f"{folder}:int4", persist=False))
    for _ in engine.remember("a.py", "def f():\n    return 1\n" * 20):
        pass
    result = engine.complete(CompletionRequest("b.py", "x = f", "\n"), lambda: False)
    assert result.timings.memory_tokens > 30
    prints = {models.load(f"{folder}{kind}").fingerprint for kind in ("", ":int8", ":int4")}
    assert len(prints) == 3
