"""Low-rank updates: what a file holds, what it changes, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from longllama_code.checkpoints import low_rank
from longllama_code.checkpoints.low_rank import LowRankUpdates, load_updates, save_updates
from longllama_code.errors import CheckpointError

NAME = "model.layers.1.self_attn.q_proj"


def updates(rank: int = 2, scale: float = 1.5) -> LowRankUpdates:
    rng = np.random.default_rng(3)
    tensors = {
        f"{NAME}.lora_A": rng.normal(size=(rank, 6)).astype(np.float16),
        f"{NAME}.lora_B": rng.normal(size=(4, rank)).astype(np.float16),
    }
    return LowRankUpdates("abc", 1, scale, tensors)


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    save_updates(tmp_path / "a.safetensors", updates())
    found = load_updates(tmp_path / "a.safetensors")
    assert (found.base, found.layout, found.scale) == ("abc", 1, 1.5)
    assert found.names() == {f"{NAME}.weight"}
    assert all(np.array_equal(found.tensors[n], each) for n, each in updates().tensors.items())
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_matrix_becomes_its_sum_with_the_product() -> None:
    matrix = np.arange(24, dtype=np.float32).reshape(4, 6)
    first, second = (updates().tensors[f"{NAME}.lora_{end}"].astype(np.float32) for end in "AB")
    expected = matrix + 1.5 * (second @ first)
    found = updates().updated(f"{NAME}.weight", matrix)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)
    assert updates().updated("model.norm.weight", matrix) is matrix


def test_updates_of_another_shape_are_refused() -> None:
    with pytest.raises(CheckpointError, match="another model"):
        updates().updated(f"{NAME}.weight", np.zeros((4, 7), np.float32))


def test_a_file_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be written .*make room"):
        save_updates(tmp_path / "no-such-folder" / "a.safetensors", updates())


def test_updates_that_are_too_large_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(low_rank, "MAX_BYTES", 39)
    with pytest.raises(CheckpointError, match="lower rank"):
        save_updates(tmp_path / "a.safetensors", updates())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left_out", ["lora_A", "lora_B"])
def test_half_of_an_update_is_refused(tmp_path: Path, left_out: str) -> None:
    tensors = {n: each for n, each in updates().tensors.items() if left_out not in n}
    save_file(tensors, tmp_path / "a", {"base": "abc", "layout": "1", "scale": "1.0"})
    with pytest.raises(CheckpointError, match="longllama tune"):
        load_updates(tmp_path / "a")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"no tensors")
    save_file(dict(updates().tensors), tmp_path / "b")
    for name in ("a", "b", "missing"):
        with pytest.raises(CheckpointError, match="cannot be read as updates"):
            load_updates(tmp_path / name)
