"""How a GGUF file scales its rotary positions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from longllama_code.checkpoints.loading import config_of
from longllama_code.errors import CheckpointError
from longllama_code.gguf.fields import fields_of
from longllama_code.gguf.file import GgufFile
from tests.gguf.writing import small_model, write_model


@pytest.mark.parametrize("kind", ["linear", "yarn"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_rotary_scaling(kind: str, architecture: str, tmp_path: Path) -> None:
    entries: dict[str, Any] = {"type": kind, "factor": 4.0, "original_context_length": 16}
    own = {f"{architecture}__rope__scaling__{key}": value for key, value in entries.items()}
    path = write_model(small_model(architecture), tmp_path / "model.gguf", **own)
    scaling = config_of(GgufFile.open(path).fields).rope_parameters
    assert scaling["rope_type"] == kind
    assert scaling["factor"] == 4
    assert scaling["rope_theta"] == 1e5
    assert scaling.get("original_max_position_embeddings", 16) == 16


def _frequencies(theta: float, size: int, scaling: dict[str, Any] | None) -> np.ndarray:
    """What transformers' own formulas turn by."""
    usual = theta ** -(torch.arange(0, size, 2) / size)
    if scaling is None:
        return usual.numpy()
    parameters = {**scaling, "rope_theta": theta}
    config = LlamaConfig(
        hidden_size=size,
        num_attention_heads=1,
        max_position_embeddings=1 << 17,
        rope_parameters=parameters,
    )
    return ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))[0].numpy()


@settings(deadline=None)
@given(
    factor=st.sampled_from([2.0, 8.0, 32.0]),
    low=st.sampled_from([1.0, 2.0]),
    span=st.sampled_from([2.0, 4.0]),
    first=st.sampled_from([4096, 8192, 16384]),
    theta=st.sampled_from([10000.0, 500000.0]),
)
def test_llama_3s_scaling_is_found_from_its_factors(
    factor: float, low: float, span: float, first: int, theta: float
) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": low * span,
        "original_max_position_embeddings": first,
    }
    wanted, size = _frequencies(theta, 128, scaling), 128
    factors = (_frequencies(theta, size, None) / wanted).astype(np.float32)
    found = fields_of(Path("x"), _plain(size, theta), ["rope_freqs.weight"], factors)
    assert found["rope_scaling"]["rope_type"] == "llama3"
    ours = _frequencies(theta, size, found["rope_scaling"])
    assert np.allclose(ours, wanted, rtol=2e-3)


def _plain(size: int, theta: float) -> dict[str, Any]:
    own = {
        "embedding_length": size,
        "feed_forward_length": 8,
        "block_count": 1,
        "context_length": 1 << 17,
        "attention.head_count": 1,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": theta,
    }
    llama = {f"llama.{key}": value for key, value in own.items()}
    return {"general.architecture": "llama", "tokenizer.ggml.tokens": ["a"], **llama}


def test_factors_of_another_scaling_are_refused(tmp_path: Path) -> None:
    def strange(writer: GGUFWriter) -> None:
        writer.add_tensor("rope_freqs.weight", np.array([1, 3, 1, 2], np.float32))

    path = write_model(small_model(), tmp_path / "model.gguf", extra=strange)
    with pytest.raises(CheckpointError, match="rope_freqs unlike Llama 3's"):
        GgufFile.open(path)


def test_factors_of_llama_3_are_read_and_are_no_tensor_of_the_model(tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    factors = _frequencies(1e5, 8, None) / _frequencies(1e5, 8, scaling)
    path = write_model(
        small_model(),
        tmp_path / "model.gguf",
        extra=lambda writer: writer.add_tensor("rope_freqs.weight", factors.astype(np.float32)),
    )
    file = GgufFile.open(path)
    assert file.fields["rope_scaling"] == scaling
    assert all("rope" not in tensor.name for tensor in file.tensors())
