"""GGUF files with merged updates: the sum in every layout, and all else as it was."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from longllama_code.checkpoints.loading import load_model
from longllama_code.checkpoints.low_rank import LowRankUpdates
from longllama_code.checkpoints.merged_gguf import write_merged
from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import GgufFile
from longllama_code.model_sources.gguf_folders import link_gguf
from tests.gguf.writing import LARGE, small_model, write_model

CHANGED = (
    *("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.k_proj"),
    *("model.layers.1.mlp.down_proj", "model.layers.0.self_attn.o_proj"),
)


def updates_of(file: GgufFile, *names: str) -> LowRankUpdates:
    """Random updates of some matrices, as large as the matrices themselves."""
    shapes = {tensor.name: tensor.shape for tensor in file.tensors()}
    rng = np.random.default_rng(5)
    tensors = dict[str, np.ndarray]()
    for name in names:
        n_out, n_in = shapes[f"{name}.weight"]
        tensors[f"{name}.lora_A"] = rng.normal(size=(3, n_in), scale=0.2).astype(np.float16)
        tensors[f"{name}.lora_B"] = rng.normal(size=(n_out, 3), scale=0.2).astype(np.float16)
    return LowRankUpdates("abc", 1, 2.0, tensors)


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize("written", [Kind.F32, Kind.Q5_0])
def test_matrices_become_the_sum_and_all_else_stays(
    tmp_path: Path, kind: str, written: Kind
) -> None:
    path = write_model(small_model(kind, **LARGE), tmp_path / "a.gguf", kind_of=lambda _: written)
    before = GgufFile.open(path)
    updates = updates_of(before, *CHANGED)
    write_merged(path, updates, tmp_path / "b.gguf")
    after = GgufFile.open(tmp_path / "b.gguf")
    assert after.fields == before.fields
    assert after.metadata.keys() == before.metadata.keys()
    found = {tensor.name: tensor for tensor in after.tensors()}
    assert [tensor.name for tensor in before.tensors()] == list(found)
    for tensor in before.tensors():
        if tensor.name in updates.names():
            expected = updates.updated(tensor.name, tensor.floats())
            assert found[tensor.name].kind == Kind.Q8_0
            error = np.abs(found[tensor.name].floats() - expected).max()
            assert error <= np.abs(expected).max() / 127
            assert np.abs(expected - tensor.floats()).max() > 10 * error
        else:
            assert found[tensor.name].kind == tensor.kind
            assert np.array_equal(found[tensor.name].rows, tensor.rows)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.gguf", "b.gguf"]


def test_rows_that_end_within_a_block_stay_exact(tmp_path: Path) -> None:
    path = write_model(small_model("qwen2"), tmp_path / "a.gguf")
    updates = updates_of(GgufFile.open(path), "model.layers.0.mlp.down_proj")
    write_merged(path, updates, tmp_path / "b.gguf")
    name = "model.layers.0.mlp.down_proj.weight"
    tensors = [
        {t.name: t for t in GgufFile.open(each).tensors()}[name].floats()
        for each in (path, tmp_path / "b.gguf")
    ]
    assert np.allclose(tensors[1], updates.updated(name, tensors[0]))


def test_the_file_is_loaded_as_any_other(tmp_path: Path) -> None:
    path = write_model(small_model("qwen2", **LARGE), tmp_path / "a.gguf")
    updates = updates_of(GgufFile.open(path), *CHANGED)
    write_merged(path, updates, tmp_path / "b.gguf")
    (tmp_path / "model").mkdir()
    link_gguf(tmp_path / "b.gguf", tmp_path / "model", {})
    model = load_model(tmp_path / "model")
    tensors = {tensor.name: tensor for tensor in GgufFile.open(tmp_path / "b.gguf").tensors()}
    for name in updates.names():
        assert np.allclose(model.get_parameter(name).detach().numpy(), tensors[name].floats())


def test_updates_of_another_model_are_refused(tmp_path: Path) -> None:
    path = write_model(small_model("qwen2"), tmp_path / "a.gguf")
    right = updates_of(GgufFile.open(path), "model.layers.0.mlp.down_proj")
    moved = {n.replace("layers.0", "layers.9"): each for n, each in right.tensors.items()}
    with pytest.raises(CheckpointError, match=r"layers\.9"):
        write_merged(path, LowRankUpdates("abc", 1, 1.0, moved), tmp_path / "b.gguf")
    turned = {n: each[:, :-1] if "lora_A" in n else each for n, each in right.tensors.items()}
    with pytest.raises(CheckpointError, match="another model"):
        write_merged(path, LowRankUpdates("abc", 1, 1.0, turned), tmp_path / "b.gguf")
    assert [each.name for each in tmp_path.iterdir()] == ["a.gguf"]
