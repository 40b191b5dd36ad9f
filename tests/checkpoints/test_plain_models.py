"""A model without transformers: the same numbers as transformers' classes give."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from longllama_code.checkpoints.blocks import load_blocks, load_for_kernels
from longllama_code.checkpoints.loading import config_of, load_model
from longllama_code.checkpoints.plain import load_plain
from longllama_code.config import LongLlamaConfig
from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import GGUF_NAME, GgufFile
from longllama_code.gguf.header import read_header
from longllama_code.model.by_kernels.kernel_model import KernelModel
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.memory_source import InContextMemory
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.plain_model import PlainModel
from longllama_code.model.rope import PlainFrequencies, Rotary
from longllama_code.model_config import PlainConfig, plain_config
from longllama_code.tokenizers.byte_bpe import write_tokenizer
from tests.code_model import write_code_model
from tests.gguf.writing import LARGE, TOKENS, small_model, write_model

IDS = [1 + 7 * index % (len(TOKENS) - 1) for index in range(40)]
SIZES = {
    "model_type": "longllama",
    "vocab_size": 300,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50_000.0,
    "tie_word_embeddings": False,
}
FAMILIES = {
    "ours": {"qkv_bias": True, "min_confidence": 0.3, "mem_layers": [], "architectures": ["x"]},
    "llama": {"model_type": "llama", "attention_bias": False, "mlp_bias": False, "head_dim": 64},
    "qwen2": {"model_type": "qwen2", "bos_token_id": None, "rope_scaling": None},
}
OTHERS = {
    "memory layers that it lacks": {"mem_layers": [9]},
    "a scaled rotation": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "an unknown field": {"sliding_window": 64},
    "another family": {"model_type": "mistral"},
    "biases": {"attention_bias": True},
    "another activation": {"hidden_act": "gelu"},
    "a wrong type": {"hidden_size": "256"},
    "a contradiction": {"min_confidence": 2.0},
}


def write_folder(folder: Path, **fields: object) -> Path:
    folder.mkdir()
    shape = {**LARGE, "num_attention_heads": 4, "max_position_embeddings": 128, **fields}
    model = small_model("qwen2", **shape)
    path = write_model(model, folder / GGUF_NAME, kind_of=lambda _: Kind.Q4_K)
    (folder / "config.json").write_text(json.dumps(dict(GgufFile.open(path).fields)))
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_the_configuration_is_the_one_that_transformers_classes_have(family: str) -> None:
    fields = SIZES | FAMILIES[family]
    found, wanted = plain_config(fields, torch_attention=True), config_of(fields)
    assert found is not None
    wanted.torch_attention = True
    names = found.__dataclass_fields__.keys() - {"rope_theta", "head_dim"}
    assert {name: getattr(found, name) for name in names} == {
        name: getattr(wanted, name) for name in names
    }
    assert found.rope_theta == wanted.rope_parameters["rope_theta"]
    assert (found.head_dim or 64) == wanted.head_dim
    assert (found.n_kv_heads, found.window) == (wanted.n_kv_heads, wanted.window)


@pytest.mark.parametrize("kind", OTHERS)
def test_models_that_need_transformers_are_left_to_it(kind: str) -> None:
    assert plain_config(SIZES) is not None
    assert plain_config(SIZES | OTHERS[kind]) is None
    assert plain_config({name: SIZES[name] for name in SIZES if name != "hidden_size"}) is None


@given(
    st.sampled_from([32, 64, 80, 128]),
    st.sampled_from([10_000.0, 1_000_000.0, 500_000.0, 12_345.6]),
    st.lists(st.integers(0, 40_000), min_size=1, max_size=20),
)
def test_rotations_are_bit_for_bit_those_of_transformers(
    head_dim: int, theta: float, positions: list[int]
) -> None:
    fields = SIZES | {"head_dim": head_dim, "rope_theta": theta}
    config = plain_config(fields)
    assert isinstance(config, PlainConfig)
    plain, whole = PlainFrequencies(config), LlamaRotaryEmbedding(config_of(fields))
    given_positions = torch.tensor([positions])
    for found, wanted in zip(
        plain(torch.empty(0), given_positions), whole(torch.empty(0), given_positions), strict=True
    ):
        assert torch.equal(found, wanted)
    assert Rotary(config).position_zero_scale == whole.attention_scaling == 1.0


@pytest.mark.parametrize("tied", [False, True])
def test_states_and_logits_are_bit_for_bit_the_same(tmp_path: Path, tied: bool) -> None:
    folder = write_folder(tmp_path / "model", tie_word_embeddings=tied)
    found = []
    for load, kind in ((load_blocks, LongLlamaForCausalLM), (load_for_kernels, PlainModel)):
        model = load(folder, torch_attention=True)
        assert isinstance(model, kind)
        assert KernelModel.fits(model)
        kernels, cache = KernelModel(model), LongLlamaCache(model.config, spills=False)
        states = torch.cat([kernels.run(part, cache, None) for part in (IDS[:30], IDS[30:])])
        found.append((states, torch.stack([kernels.logits(state) for state in states])))
    (states, logits), (wanted_states, wanted_logits) = found
    assert torch.equal(states, wanted_states)
    assert torch.equal(logits, wanted_logits)


MEMORY = {"mem_layers": [1], "mem_heads": {"1": [0]}, "mem_dtype": "float32", "qkv_bias": True}


def write_checkpoint(folder: Path, **fields: object) -> Path:
    """Write random weights as a user's own checkpoint, by transformers."""
    config = LongLlamaConfig(**SIZES | MEMORY | {"torch_attention": False} | fields)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        LongLlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [False, True])
def test_a_checkpoint_computes_bit_for_bit_the_same(
    tmp_path: Path, tied: bool, dtype: torch.dtype
) -> None:
    folder = write_checkpoint(tmp_path / "model", tie_word_embeddings=tied)
    plain, whole = (load(folder, dtype, torch_attention=True) for load in (load_plain, load_model))
    assert isinstance(plain, PlainModel)
    assert (plain.device, plain.dtype) == (whole.device, whole.dtype)
    weights = whole.state_dict()
    assert {*plain.state_dict()} == {*weights}
    assert all(torch.equal(weights[name], each) for name, each in plain.state_dict().items())
    assert torch.equal(*(logits_beside_memory(model) for model in (plain, whole)))


@torch.inference_mode()
def logits_beside_memory(model: PlainModel | LongLlamaForCausalLM) -> torch.Tensor:
    """Logits of tokens that see others in memory, and some before them in the cache."""
    memory = InContextMemory(model.config)
    for layer, (keys, values) in model.model.encode_memory(torch.tensor([IDS[:12]])).items():
        memory.absorb(layer, keys, values)
    memory.absorb_visibility(torch.ones(1, 12, dtype=torch.bool))
    cache, found = LongLlamaCache(model.config, spills=False), []
    for start, end in ((12, 30), (30, 40)):
        positions = torch.arange(start - 12, end - 12)[None]
        embeds = model.model.embed_tokens(torch.tensor([IDS[start:end]]))
        padding = torch.ones(1, end - 12, dtype=torch.bool)
        found.append(model.model.window(embeds, positions, padding, cache, memory))
    return model.lm_head(torch.cat(found, dim=1))


def test_an_incomplete_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", tie_word_embeddings=False)
    (path,) = folder.glob("*.safetensors")
    weights = load_file(path)
    norm = "model.norm.weight"
    save_file({name: each for name, each in weights.items() if name != norm}, path)
    with pytest.raises(CheckpointError, match=f"lacks 1 weights, the first of them '{norm}'"):
        load_plain(folder)
    save_file({**weights, norm: weights[norm][:-1].clone()}, path)
    with pytest.raises(CheckpointError, match=f"{norm}' of shape"):
        load_plain(folder)


CODE = """
import sys
from pathlib import Path
from longllama_code.engine_options import EngineOptions
from longllama_code.generation import ahead

options = EngineOptions(sys.argv[1], persist=False)
ahead.begin(options)
assert "torch" not in sys.modules
from longllama_code.generation import models
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest

models.CPU_CACHE_BYTES = int(sys.argv[2])
engine = Engine.open(options)
assert engine.status().dtype == sys.argv[3], engine.status()
for _ in engine.remember("a.py", "answer = 42\\n"):
    pass
request = CompletionRequest("b.py", "from a import ", "", max_tokens=3, timeout_ms=600_000)
engine.complete(request, lambda: False)
heavy = ["transformers", "accelerate", "peft", "torch._dynamo", "torch.distributed.tensor", "sympy"]
heavy.append("huggingface_hub.hf_api")
print(sorted(name for name in heavy if name in sys.modules))
print("torch._decomp" in sys.modules)
"""


def test_an_engine_imports_no_transformers_and_all_of_torch_only_if_torch_runs_it(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "model")
    header = read_header(folder / GGUF_NAME)
    write_tokenizer(header.metadata, folder / GGUF_NAME, folder)
    own = write_code_model(tmp_path / "own")
    caches = str(1 << 30)
    for model in ((folder, "0", "gguf"), (own, caches, "float32"), ("tiny", caches, "float32")):
        command = [sys.executable, "-c", CODE, *map(str, model)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["[]", str(model[2] == "float32")]
