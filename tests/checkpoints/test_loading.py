"""Checkpoint folders: whole ones round trip, others are refused, and none runs code."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from longllama_code.checkpoints.loading import load_config, load_model
from longllama_code.config import LongLlamaConfig
from longllama_code.errors import CheckpointError, ConfigError
from longllama_code.model.modeling import LongLlamaForCausalLM

IDS = torch.arange(40)[None]
SHAPE: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
    "initializer_range": 0.2,
}


@pytest.fixture(scope="module")
def model() -> LongLlamaForCausalLM:
    torch.manual_seed(0)
    config = LongLlamaConfig(**SHAPE, mem_layers=[1], mem_heads={"1": [1]}, last_context_length=6)
    return LongLlamaForCausalLM(config).eval()


@pytest.fixture
def folder(model: LongLlamaForCausalLM, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path)
    return tmp_path


def edit_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@torch.no_grad()
def same_logits(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return torch.equal(one(IDS).logits, other(IDS).logits)


@pytest.mark.parametrize("max_shard_size", ["1GB", "20KB"])
def test_round_trip(model: LongLlamaForCausalLM, tmp_path: Path, max_shard_size: str) -> None:
    model.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (max_shard_size == "20KB")
    loaded = load_model(tmp_path)
    assert same_logits(loaded, model)
    assert not loaded.training


def test_bin_files_of_tensors_are_read(model: LongLlamaForCausalLM, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    assert same_logits(load_model(folder), model)


def test_auto_classes(model: LongLlamaForCausalLM, folder: Path) -> None:
    assert isinstance(AutoConfig.from_pretrained(folder), LongLlamaConfig)
    assert same_logits(AutoModelForCausalLM.from_pretrained(folder), model)


def test_overrides(model: LongLlamaForCausalLM, folder: Path) -> None:
    assert load_config(folder, last_context_length=3).last_context_length == 3
    assert not same_logits(load_model(folder, last_context_length=3), model)
    assert load_model(folder, dtype=torch.bfloat16).dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="layer 9"):
        load_model(folder, mem_layers=[9])


@torch.no_grad()
def test_a_plain_llama_is_read(tmp_path: Path) -> None:
    llama = LlamaForCausalLM(LlamaConfig(**SHAPE)).eval()
    llama.save_pretrained(tmp_path)
    logits = load_model(tmp_path)(IDS, last_context_length=40).logits
    assert torch.allclose(logits, llama(IDS).logits, atol=1e-4)
    assert load_model(tmp_path, mem_layers=[0]).config.memory_heads(0) == (0, 1)


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def truncated(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def without_one_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.self_attn.k_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def without_one_shard(folder: Path) -> None:
    load_model(folder).save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    next(folder.glob("model-00002-*")).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json. Name a folder"),
        (lambda folder: (folder / "config.json").write_text("{"), "is no configuration"),
        (lambda folder: (folder / "config.json").write_text("[]"), "is no configuration"),
        (lambda folder: (folder / "config.json").write_text("[" * 9999), "is no configuration"),
        (lambda folder: edit_config(folder, model_type="gpt2"), '"gpt2"; this package loads'),
        (lambda folder: edit_config(folder, hidden_size="x"), "contradicts itself.*hidden_size"),
        (lambda folder: edit_config(folder, vocab_size=60), r"shape \(50, 32\), not \(60, 32\)"),
        (lambda folder: edit_config(folder, num_hidden_layers=3), "lacks 9 weights"),
        (without_one_weight, "lacks 1 weights.*layers.1.self_attn.k_proj"),
        (without_weights, "has no weights"),
        (without_one_shard, "could not be read.*model-00002"),
        (truncated, "could not be read"),
    ],
)
def test_damage_is_refused(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        load_model(folder)


@pytest.mark.parametrize("load", [load_model, AutoModelForCausalLM.from_pretrained])
def test_code_in_the_folder_is_not_run(
    model: LongLlamaForCausalLM, folder: Path, load: Callable[[Path], torch.nn.Module]
) -> None:
    marker = folder / "ran"
    code = (
        f"open({str(marker)!r}, 'w')\nclass LongLlamaConfig: ...\nclass LongLlamaForCausalLM: ..."
    )
    for name in ("configuration_longllama", "modeling_longllama"):
        (folder / f"{name}.py").write_text(code)
    auto_map = {
        "AutoConfig": "configuration_longllama.LongLlamaConfig",
        "AutoModelForCausalLM": "modeling_longllama.LongLlamaForCausalLM",
    }
    edit_config(folder, auto_map=auto_map)
    assert same_logits(load(folder), model)
    assert not marker.exists()


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._marker,)


@pytest.mark.parametrize("save", [torch.save, None])
def test_a_pickle_of_more_than_tensors_is_refused(folder: Path, save: Any) -> None:
    (folder / "model.safetensors").unlink()
    weights, marker = folder / "pytorch_model.bin", folder / "ran"
    data = pickle.dumps({"lm_head.weight": Payload(marker)}, protocol=2)
    weights.write_bytes(data)
    if save is not None:
        save({"lm_head.weight": Payload(marker)}, weights)
    with pytest.raises(CheckpointError, match=r"more than tensors.*Convert it to safetensors"):
        load_model(folder)
    assert not marker.exists()
    pickle.loads(data)
    assert marker.exists()
