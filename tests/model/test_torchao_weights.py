"""Weights that torchao rounds: on a CPU here, in 8 bits; its kernels for 4 bits need CUDA."""

from pathlib import Path

import pytest
import torch
from torch import nn

from longllama_code.checkpoints import quantized as quantized_checkpoint
from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.quantized import load_quantized
from longllama_code.checkpoints.random_weights import write_random
from longllama_code.errors import CheckpointError
from longllama_code.model.rounded.quantized import quantize
from longllama_code.model.rounded.torchao_weights import torchao_linear, uses_torchao

IDS = torch.arange(60)[None] * 11 % 600


def needs_torchao() -> None:
    pytest.importorskip("torchao", reason="comes with the extra gpu")


@torch.no_grad()
def test_a_map_is_that_of_rows_in_8_bits() -> None:
    needs_torchao()
    torch.manual_seed(0)
    weight, bias = torch.randn(96, 64), nn.Parameter(torch.randn(96))
    hidden = torch.randn(3, 64)
    exact = nn.functional.linear(hidden, weight, bias)
    rounded = torchao_linear(weight.clone(), "int8", bias)(hidden)
    ours = quantize(weight, "int8", bias)(hidden)
    error = (ours - exact).abs().max()
    assert 0 < (rounded - exact).abs().max() <= 2 * error


@torch.no_grad()
def test_a_checkpoint_rounded_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_torchao()
    write_random(FAMILY["code-7b"], tmp_path / "code", scale="small", shard_bytes=1_000_000)
    ours = load_quantized(tmp_path / "code", "int8")(IDS, last_context_length=8).logits
    monkeypatch.setattr(quantized_checkpoint, "uses_torchao", lambda _: True)
    model = load_quantized(tmp_path / "code", "int8")
    layer = model.model.layers[0]
    assert "int8" in type(layer.mlp.up_proj.weight).__name__.lower()
    logits = model(IDS, last_context_length=8).logits
    assert (logits - ours).abs().max() <= 0.05 * ours.abs().max()
    low = load_quantized(tmp_path / "code", "int8", torch.bfloat16)(IDS, last_context_length=8)
    assert (low.logits.float() - ours).abs().max() <= 0.1 * ours.abs().max()


def test_without_torchao_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("longllama_code.model.rounded.torchao_weights.import_module", absent)
    with pytest.raises(CheckpointError, match=r"longllama-code-lsp\[gpu\]"):
        torchao_linear(torch.zeros(32, 32), "int8")


def test_cuda_alone_is_rounded_by_it() -> None:
    devices = ("cuda", "cuda:1", "cpu", "mps", "xpu")
    assert [uses_torchao(torch.device(name)) for name in devices] == [True, True, *[False] * 3]
