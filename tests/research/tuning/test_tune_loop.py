"""The loop: it learns, ends, and goes on after a kill as if nothing had happened."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from longllama_code.checkpoints.low_rank import load_updates
from longllama_code.errors import CheckpointError, ConfigError
from longllama_code.research.cursor_rows.collection import Collected, read_shards, write_shards
from longllama_code.research.cursor_rows.drawing import Shares
from longllama_code.research.run_folder import LOSSES, METRICS, read_records
from longllama_code.research.tuning.adapter import add_adapter
from longllama_code.research.tuning.held_out import held_out_losses, mean
from longllama_code.research.tuning.loop import Progress, learning_rate, tune
from longllama_code.research.tuning.options import TuneOptions
from tests.code_model import TOKENIZER
from tests.research.cursor_rows.test_shards import source
from tests.research.killed_run import NEEDS_KILL, kill_run
from tests.research.repositories import coder, marks

BASE = "a model of tests"
OPTIONS = TuneOptions(
    total_tokens=14_000,
    rows_per_step=1,
    tokens_per_pass=4096,
    learning_rate=3e-2,
    rank=4,
    alpha=8,
    held_out_rows=2,
    held_out_tokens=5_000,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    sources = [source(name) for name in ("parcel", "letter", "stamp")]
    write_shards(folder, sources, TOKENIZER, marks(), Shares(chars_per_row=200), str)
    return folder


def run(
    folder: Path, shards: Path, options: TuneOptions = OPTIONS, max_steps: int | None = None
) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    tune(coder(), read_shards(shards), BASE, options, folder, _ignore, max_steps)
    return read_records(folder / METRICS)


def _ignore(_: Progress) -> None:
    """Nobody is watching."""


def curve(steps: list[dict[str, Any]]) -> list[float]:
    return [each["loss"] for each in steps]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> Path:
    """A run from its beginning to its end."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    run(folder, shards)
    return folder


def test_a_run_learns_and_says_so(whole: Path) -> None:
    steps, losses = read_records(whole / METRICS), read_records(whole / LOSSES)
    assert sum(curve(steps)[-3:]) < sum(curve(steps)[:3])
    assert [each["step"] for each in steps] == [*range(1, len(steps) + 1)]
    assert steps[-1]["tokens"] >= OPTIONS.total_tokens > steps[-2]["tokens"]
    assert all(each["tokens_per_second"] > 0 for each in steps)
    assert {"memory", "prompt", "nothing"} <= losses[0].keys() & losses[-1].keys()
    assert losses[0]["tokens"] == 0
    assert len(losses) >= 4
    assert losses[-1]["memory"] < losses[0]["memory"]


def test_a_stopped_run_goes_on_along_the_same_curve(
    tmp_path: Path, whole: Path, shards: Path
) -> None:
    run(tmp_path, shards, max_steps=3)
    run(tmp_path, shards, max_steps=2)
    parts = run(tmp_path, shards)
    assert curve(parts) == pytest.approx(curve(read_records(whole / METRICS)), abs=1e-5)
    ends = [read_records(folder / LOSSES) for folder in (tmp_path, whole)]
    assert [each["tokens"] for each in ends[0]] == [each["tokens"] for each in ends[1]]
    assert [e["memory"] for e in ends[0]] == pytest.approx([e["memory"] for e in ends[1]], abs=1e-5)
    adapters = [load_file(folder / "adapter.safetensors") for folder in (tmp_path, whole)]
    assert all(torch.allclose(adapters[0][n], adapters[1][n], atol=1e-4) for n in adapters[0])


@NEEDS_KILL
def test_a_killed_run_goes_on_along_the_same_curve(
    tmp_path: Path, whole: Path, shards: Path
) -> None:
    folder = tmp_path / "killed"
    script = (
        "from dataclasses import replace; from pathlib import Path;"
        "from tests.research.tuning import test_tune_loop as t;"
        f"t.run(Path({str(folder)!r}), Path({str(shards)!r}),"
        "replace(t.OPTIONS, save_minutes=0.0))"
    )
    kill_run(script, folder)
    with (folder / METRICS).open("a") as metrics:
        metrics.write('{"step": 99, "tok')  # what a kill while writing leaves
    expected = curve(read_records(whole / METRICS))
    assert curve(run(folder, shards)) == pytest.approx(expected, abs=1e-5)


def test_a_run_that_ended_stays_as_it_is(tmp_path: Path, shards: Path) -> None:
    options = replace(OPTIONS, total_tokens=3_000)
    first = run(tmp_path, shards, options)
    losses = read_records(tmp_path / LOSSES)
    assert run(tmp_path, shards, options) == first
    assert read_records(tmp_path / LOSSES) == losses


def test_a_run_that_does_not_get_better_ends(tmp_path: Path, shards: Path) -> None:
    options = replace(OPTIONS, learning_rate=0.0, held_out_tokens=2_000, patience_tokens=4_000)
    steps = run(tmp_path, shards, options)
    assert 4_000 <= steps[-1]["tokens"] < options.total_tokens
    # The best updates are those of the beginning, which change nothing.
    tensors = load_file(tmp_path / "adapter.safetensors")
    assert not any(each.any() for name, each in tensors.items() if name.endswith("lora_B"))


def test_an_adapter_gives_the_losses_of_its_run(whole: Path, shards: Path) -> None:
    losses = read_records(whole / LOSSES)
    best = min(each["memory"] for each in losses)
    collected, loaded = read_shards(shards), coder()
    add_adapter(loaded, whole / "adapter.safetensors", BASE)
    rows = _measured(collected)
    found = held_out_losses(loaded.model, collected.held_out, rows, 4096, ("memory",))
    assert mean(found["memory"]) == pytest.approx(best, abs=2e-2)  # in float16
    before = held_out_losses(coder().model, collected.held_out, rows, 4096, ("memory",))
    assert mean(before["memory"]) == pytest.approx(losses[0]["memory"], abs=1e-4)


def _measured(collected: Collected) -> list[tuple[int, int]]:
    from longllama_code.research.tuning.held_out import chosen_rows

    return chosen_rows(collected.held_out, OPTIONS.held_out_rows, OPTIONS.seed)


def test_an_adapter_names_its_model_and_is_refused_by_others(whole: Path) -> None:
    path = whole / "adapter.safetensors"
    assert load_updates(path).base == BASE
    with pytest.raises(CheckpointError, match=BASE):
        add_adapter(coder(), path, "another model")


def test_another_run_in_the_folder_is_refused(tmp_path: Path, shards: Path) -> None:
    run(tmp_path, shards, max_steps=1)
    with pytest.raises(ConfigError, match="learning_rate"):
        run(tmp_path, shards, replace(OPTIONS, learning_rate=1e-5))
    with pytest.raises(ConfigError, match="base"):
        tune(coder(), read_shards(shards), "another", OPTIONS, tmp_path, _ignore)


def test_shards_of_another_vocabulary_are_refused(tmp_path: Path, shards: Path) -> None:
    collected = replace(read_shards(shards), vocabulary="another")
    with pytest.raises(ConfigError, match="vocabulary"):
        tune(coder(), collected, BASE, OPTIONS, tmp_path, _ignore)


def test_a_damaged_checkpoint_is_named(tmp_path: Path, shards: Path) -> None:
    run(tmp_path, shards, max_steps=1)
    (tmp_path / "checkpoint-1" / "moments.safetensors").write_bytes(b"{")
    with pytest.raises(CheckpointError, match="checkpoint-1"):
        run(tmp_path, shards)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"distillation": 1.5}, "distillation"),
        ({"without_memory": 0.7, "in_prompt": 0.7}, "together"),
        ({"rows_per_step": 0}, "rows_per_step"),
    ],
)
def test_options_that_cannot_be_run_are_named(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        replace(OPTIONS, **change)


def test_the_learning_rate_rises_and_falls() -> None:
    options = TuneOptions(total_tokens=1000, warmup=0.1, learning_rate=1.0)
    rates = [learning_rate(options, tokens) for tokens in range(0, 1001, 50)]
    top = rates.index(max(rates))
    assert top == 2
    assert 0 < rates[0] < rates[1] < rates[2] == pytest.approx(1.0)
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)
    assert learning_rate(options, 5000) == rates[-1]
