"""The commands, from source trees to a table of losses."""

from pathlib import Path

import pytest

from longllama_code.__main__ import main
from longllama_code.commands.tune import choose_options
from longllama_code.errors import ConfigError
from longllama_code.research.tuning.options import PRESETS
from tests.code_model import write_code_model
from tests.research.repositories import tree


def write_tree(folder: Path, name: str) -> str:
    for path, text in tree(name).texts.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_text(text * 6)
    return str(folder / name)


def test_shards_tuning_and_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model").mkdir()
    model = ["--model", str(write_code_model(tmp_path / "model"))]
    shards, run = str(tmp_path / "shards"), str(tmp_path / "run")
    arguments = ["shards", shards, *model, "--rows", "12"]
    for name in ("parcel", "letter"):
        arguments += ["--repo", write_tree(tmp_path, name)]
    assert main(arguments) == 0
    assert "shards.json" in capsys.readouterr().out
    sets = ("total_tokens=5000", "rows_per_step=1", "held_out_rows=2", "rank=4")
    device = ["--device", "cpu"]
    changes = [part for change in sets for part in ("--set", change)]
    assert main(["tune", run, shards, *model, *device, *changes]) == 0
    out = capsys.readouterr().out
    assert "held-out loss after 0 tokens" in out
    assert "adapter.safetensors" in out
    files = {path.name for path in Path(run).iterdir()}
    assert {"adapter.safetensors", "metrics.jsonl", "held_out.jsonl", "curves.svg"} <= files
    adapter = ["--adapter", f"{run}/adapter.safetensors"]
    numbers = tmp_path / "losses.json"
    output = ["--rows", "2", "--output", str(numbers)]
    assert main(["held-out", shards, *model, *device, *adapter, *output]) == 0
    out = capsys.readouterr().out
    assert "| definitions in | before | after | change |" in out
    assert all(f"| {mode} |" in out for mode in ("memory", "prompt", "nothing"))
    assert numbers.read_text().count("letter") == 2 * 3 * 2


def test_a_model_without_marks_is_refused(tmp_path: Path) -> None:
    from longllama_code.checkpoints.loading import write_config

    (tmp_path / "model").mkdir()
    folder = write_code_model(tmp_path / "model")
    write_config(folder, {"infill_marks": [1, 2]})
    arguments = ["shards", str(tmp_path / "s"), "--model", str(folder)]
    assert main([*arguments, "--repo", write_tree(tmp_path, "parcel")]) != 0
    assert not (tmp_path / "s").exists()


def test_presets_are_those_of_the_device() -> None:
    assert choose_options(None, "cpu", []) == PRESETS["cpu"]
    assert choose_options(None, "cuda:1", ["rank=8"]).rank == 8
    assert choose_options("gpu", "cpu", []) == PRESETS["gpu"]
    with pytest.raises(ConfigError, match="maxi"):
        choose_options("maxi", "cpu", [])
