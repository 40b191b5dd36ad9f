"""Checkpoints with random weights: the published files, names, shapes and types."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from torch import Tensor

from longllama_code.__main__ import main
from longllama_code.checkpoints.loading import load_model
from longllama_code.checkpoints.published import FAMILY, GB
from longllama_code.checkpoints.random_weights import weight_shapes, write_random
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import CheckpointError
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest


def read(folder: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.bin")):
        weights |= torch.load(path, weights_only=True)
    return weights


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random") / "code"
    write_random(FAMILY["code-7b"], folder, scale="small", shard_bytes=1_000_000)
    return folder


def test_the_files_and_their_index(sharded: Path) -> None:
    names = {path.name for path in sharded.iterdir()}
    shards = {f"pytorch_model-0000{n}-of-00004.bin" for n in range(1, 5)}
    apart = {"config.json", "generation_config.json", "special_tokens_map.json"}
    assert names == shards | apart | {
        "pytorch_model.bin.index.json",
        "tokenizer.model",
        "tokenizer_config.json",
    }
    index = json.loads((sharded / "pytorch_model.bin.index.json").read_text())
    for file in shards:
        mapped = {name for name, where in index["weight_map"].items() if where == file}
        assert {*torch.load(sharded / file, weights_only=True)} == mapped


def test_the_weights(sharded: Path) -> None:
    weights = read(sharded)
    wanted = weight_shapes(FAMILY["code-7b"].scaled("small"))
    assert {n: (w.shape, w.dtype) for n, w in weights.items()} == {
        n: (w.shape, w.dtype) for n, w in wanted.items()
    }
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    for name, weight in weights.items():
        if "norm" in name:
            assert (weight == 1).all()
        else:
            assert weight.float().std() == pytest.approx(0.02, rel=0.1)
            assert (weight != 0).all(dim=-1).any()


def test_seeds(sharded: Path, tmp_path: Path) -> None:
    first = {name: weight for name, weight in read(sharded).items() if weight.ndim > 1}
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        write_random(FAMILY["code-7b"], folder, scale="small", seed=seed)
        again = read(folder)
        same = [torch.equal(weight, again[name]) for name, weight in first.items()]
        assert all(same) if seed == 0 else not any(same)
        assert load_model(folder).config.mem_layers == [8, 16, 24]


@pytest.mark.parametrize(
    ("name", "n_bytes", "shards"),
    [("code-7b", 13.48, [9.98, 3.50]), ("3b", 6.85, [6.85]), ("llama-2-7b-32k", 13.48, None)],
)
def test_the_published_size(name: str, n_bytes: float, shards: list[float] | None) -> None:
    """Of the files on the hub, in GB; nothing is written here."""
    published = FAMILY[name]
    shapes = weight_shapes(published.scaled("full"))
    sizes = {n: weight.numel() * weight.element_size() for n, weight in shapes.items()}
    assert sum(sizes.values()) / GB == pytest.approx(n_bytes, abs=0.01)
    split = split_torch_state_dict_into_shards(shapes, max_shard_size=published.shard_bytes)
    found = [sum(sizes[n] for n in names) / GB for names in split.filename_to_tensors.values()]
    assert shards is None or found == pytest.approx(shards, abs=0.01)


@pytest.mark.parametrize("name", FAMILY)
def test_every_layout_is_one_that_we_load(name: str) -> None:
    fields: dict[str, Any] = FAMILY[name].scaled("full")
    assert len(weight_shapes(fields)) == 9 * fields["num_hidden_layers"] + 3
    assert ("mem_layers" in fields) == FAMILY[name].repository.startswith("syzymon/")


def test_the_command_and_the_product(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "3b"
    assert main(["convert", "--random", "3b", "--scale", "small", "--output", str(folder)]) == 0
    assert "100 % pytorch_model.bin" in capsys.readouterr().err
    engine = Engine.open(EngineOptions(str(folder), persist=False))
    for _ in engine.remember("a.py", "def f():\n    return 1\n" * 20):
        pass
    result = engine.complete(CompletionRequest("b.py", "x = f", "\n"), lambda: False)
    assert result.timings.memory_tokens > 30
    assert main(["convert", "--random", "3b", "--scale", "small", "--output", str(folder)]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10**6})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(CheckpointError, match=r"13\.5 GB.*0\.0 GB free"):
        write_random(FAMILY["code-7b"], tmp_path / "new")
