"""Both ways: other Llamas in our classes, and a LongLLaMA in transformers' own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from longllama_code.checkpoints.loading import load_config, load_model, write_config
from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.random_weights import write_random
from longllama_code.errors import CheckpointError
from longllama_code.model.modeling import LongLlamaForCausalLM
from tests.paths import GOLDEN

IDS = torch.arange(40)[None] * 7 % 50
SHAPE: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
QWEN_SLIDES = {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 1}
MODELS: dict[str, tuple[type[Any], type[Any], dict[str, Any]]] = {
    "grouped": (LlamaConfig, LlamaForCausalLM, {}),
    "all heads": (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 4}),
    "tied": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": True}),
    "biases": (LlamaConfig, LlamaForCausalLM, {"attention_bias": True, "mlp_bias": True}),
    "large theta": (LlamaConfig, LlamaForCausalLM, {"rope_theta": 5e5}),
    "Llama 3": (LlamaConfig, LlamaForCausalLM, {"rope_scaling": LLAMA_3, "rope_theta": 5e5}),
    "linear": (LlamaConfig, LlamaForCausalLM, {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    "yarn": (LlamaConfig, LlamaForCausalLM, {"rope_scaling": {"type": "yarn", "factor": 4.0}}),
    "Mistral": (MistralConfig, MistralForCausalLM, {"sliding_window": None}),
    "Mistral's heads": (MistralConfig, MistralForCausalLM, {"head_dim": 16}),
    "Qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
    "Qwen2, tied": (Qwen2Config, Qwen2ForCausalLM, {"tie_word_embeddings": True}),
    "Mistral slides": (MistralConfig, MistralForCausalLM, {"sliding_window": 24}),
    "Qwen2 slides": (Qwen2Config, Qwen2ForCausalLM, QWEN_SLIDES),
}


def theirs(name: str) -> PreTrainedModel:
    """Random weights, biases and norms too."""
    config, model, fields = MODELS[name]
    torch.manual_seed(0)
    plain = model(config(**{**SHAPE, **fields})).eval()
    for parameter in plain.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return plain


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_other_llamas_in_ours(name: str, tmp_path: Path) -> None:
    plain = theirs(name)
    plain.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    ids = IDS[:, : ours.config.window]
    n_tokens = ids.shape[1]
    logits = ours(ids, last_context_length=n_tokens).logits
    assert (logits - plain(ids).logits).abs().max() <= 1e-4
    first = ids[:, : n_tokens // 2]
    written = {"max_new_tokens": n_tokens - first.shape[1], "do_sample": False}
    assert torch.equal(ours.generate(first, **written), plain.generate(first, **written))


@torch.no_grad()
def test_llama_2_with_a_scaled_rotation(tmp_path: Path) -> None:
    """As LLaMA-2-7B-32K is published, small: alone, beside memory, and through a shorter window."""
    write_random(FAMILY["llama-2-7b-32k"], tmp_path, scale="small")
    plain = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.arange(256)[None] * 7 % 600
    theirs = plain(ids).logits
    bare, given = load_model(tmp_path), load_model(tmp_path, mem_layers=[8, 16, 24])
    assert bare.config.rope_parameters["factor"] == 8.0
    for ours in (bare, given):
        logits = ours(ids, last_context_length=256).logits
        assert (logits - theirs).abs().max() <= 1e-4
    short = load_model(tmp_path, mem_layers=[8, 16, 24], max_position_embeddings=64)
    through_memory = short(ids, last_context_length=40).logits
    assert (through_memory[:, :64] - theirs[:, :64]).abs().max() <= 1e-4
    assert (through_memory[:, 64:] - theirs[:, 64:]).abs().max() > 1e-4
    unscaled = load_model(tmp_path, rope_scaling=None, rope_parameters=None)
    assert (unscaled(ids, last_context_length=256).logits - theirs).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["Mistral slides", "Qwen2 slides"])
def test_a_sliding_window_bounds_ours(name: str, tmp_path: Path) -> None:
    theirs(name).save_pretrained(tmp_path)
    config = load_config(tmp_path)
    assert config.window == 24
    assert not hasattr(config, "sliding_window")


@pytest.mark.parametrize(
    "name", ["grouped", "Llama 3", "linear", "yarn", "Mistral slides", "Qwen2"]
)
@torch.no_grad()
def test_other_llamas_with_memory(name: str, tmp_path: Path) -> None:
    """Written as ``longllama probe`` writes them; within the window nothing has changed."""
    plain = theirs(name)
    plain.save_pretrained(tmp_path)
    write_config(tmp_path, {"mem_layers": [1], "mem_heads": {"1": [0]}, "mem_dtype": "float32"})
    ours = load_model(tmp_path)
    window, ids = ours.config.window, IDS.repeat(1, 3)
    short = ids[:, :window]
    logits = ours(short, last_context_length=window).logits
    assert (logits - plain(short).logits).abs().max() <= 1e-4
    bare = load_model(tmp_path, mem_layers=[], mem_heads=None)
    beyond = ours(ids, last_context_length=8).logits - bare(ids, last_context_length=8).logits
    assert beyond[:, :window].abs().max() <= 1e-4
    assert beyond[:, window:].abs().max() > 1e-3


@pytest.mark.parametrize("family", ["llama", "code"])
@torch.no_grad()
def test_a_longllama_in_transformers_own(family: str) -> None:
    """README of the original, "Drop-in use with LLaMA code"."""
    folder = GOLDEN / family / "checkpoint"
    plain = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ours = AutoModelForCausalLM.from_pretrained(folder, mem_layers=[], dtype=torch.float32)
    assert isinstance(ours, LongLlamaForCausalLM)
    ids = IDS[:, : ours.config.window]
    logits = ours(ids, last_context_length=ids.shape[1]).logits
    assert (logits - plain(ids).logits).abs().max() <= 1e-4
    written = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None}
    first = ids[:, :8]
    assert torch.equal(ours.generate(first, **written), plain.generate(first, **written))


def test_dynamic_scaling_is_refused_beside_memory(tmp_path: Path) -> None:
    theirs("grouped").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    fields = json.loads(path.read_text())
    del fields["rope_parameters"]
    fields["rope_scaling"] = {"type": "dynamic", "factor": 2.0}
    path.write_text(json.dumps(fields))
    assert load_config(tmp_path).rope_parameters["rope_type"] == "dynamic"
    with pytest.raises(Exception, match="as the text grows"):
        write_config(tmp_path, {"mem_layers": [1]})


def test_other_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    with pytest.raises(CheckpointError, match=r'"qwen3".*llama, mistral, qwen2'):
        load_config(tmp_path)
