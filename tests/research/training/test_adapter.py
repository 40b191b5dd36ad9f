"""Adapters take the place of weights, and say so when they cannot."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from longllama_code.checkpoints.adapter import merge_adapter
from longllama_code.errors import CheckpointError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights = {"a": np.zeros((2, 3), np.float16), "b": np.ones(4, np.float16)}
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path


def adapter(folder: Path, **tensors: np.ndarray) -> Path:
    path = folder / "adapter.safetensors"
    save_file(tensors, path)
    return path


def test_merging(folder: Path) -> None:
    merge_adapter(adapter(folder, a=np.full((2, 3), 0.5, np.float32)), folder)
    weights = load_file(folder / "model.safetensors")
    assert weights["a"].dtype == np.float16
    assert (weights["a"] == 0.5).all()
    assert (weights["b"] == 1).all()


def test_an_adapter_of_another_model_changes_nothing(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="'c'"):
        merge_adapter(adapter(folder, c=np.zeros(1)), folder)
    with pytest.raises(CheckpointError, match=r"\(3, 2\)"):
        merge_adapter(adapter(folder, a=np.zeros((3, 2))), folder)
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_damaged_adapter(folder: Path) -> None:
    path = folder / "adapter.safetensors"
    path.write_bytes(b"\x08 nothing")
    with pytest.raises(CheckpointError, match="fetch or train"):
        merge_adapter(path, folder)
