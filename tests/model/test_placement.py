"""Layers on other devices, in memory or on disk, through accelerate; with what CI has: the CPU."""

from pathlib import Path
from typing import Any

import pytest
import torch

from longllama_code.checkpoints.loading import load_model
from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.random_weights import write_random
from longllama_code.model.modeling import LongLlamaForCausalLM

IDS = torch.arange(300)[None] * 7 % 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("placement") / "3b"
    write_random(FAMILY["3b"], path, scale="small")
    return path


def placed(folder: Path, offload: Path, **options: Any) -> LongLlamaForCausalLM:
    return LongLlamaForCausalLM.from_pretrained(
        folder, dtype=torch.float32, offload_folder=offload, **options
    ).eval()


@torch.no_grad()
def test_layers_on_disk(folder: Path, tmp_path: Path) -> None:
    """``device_map="auto"`` with less memory than the model has: the rest is read when needed."""
    model = placed(folder, tmp_path, device_map="auto", max_memory={"cpu": 2_000_000})
    places = set(model.hf_device_map.values())
    assert "disk" in places
    whole = load_model(folder)
    logits = model(IDS).logits
    assert (logits - whole(IDS).logits).abs().max() <= 1e-4
    written = {"max_new_tokens": 6, "do_sample": False}
    assert torch.equal(model.generate(IDS, **written), whole.generate(IDS, **written))


@torch.no_grad()
def test_segments_are_encoded_by_layers_on_disk(folder: Path, tmp_path: Path) -> None:
    """Of the last memory layer only keys and values run, outside of its own forward pass."""
    model = placed(folder, tmp_path, device_map="auto", max_memory={"cpu": 2_000_000})
    assert model.hf_device_map[f"model.layers.{model.config.mem_layers[-1]}"] == "disk"
    whole = load_model(folder)
    found, wanted = (one.model.encode_memory(IDS[:, :60]) for one in (model, whole))
    for layer, pair in wanted.items():
        for mine, theirs in zip(found[layer], pair, strict=True):
            assert (mine - theirs).abs().max() <= 1e-4
