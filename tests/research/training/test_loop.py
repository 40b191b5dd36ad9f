"""Training on the tiny model: it learns, freezes, and goes on after a kill as if nothing was."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from longllama_code.errors import ConfigError
from longllama_code.generation import models
from longllama_code.research.datasets.corpus import Corpus
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.run_folder import METRICS, read_records
from longllama_code.research.training.loop import Progress, train
from longllama_code.research.training.options import PRESETS, TrainOptions
from longllama_code.research.training.trainable import lowest_trained_layer, select_parameters
from tests.research.killed_run import NEEDS_KILL, kill_run

OPTIONS = TrainOptions(
    total_tokens=12 * 8 * 64,
    repositories_per_step=2,
    rows_per_repository=4,
    row_tokens=64,
    scope="above",
    learning_rate=3e-3,
    warmup_steps=1,
    bank_tokens=256,
    mem_top_k=16,
)
N_STEPS = 12


def trees() -> list[SourceTree]:
    return [
        SourceTree(
            name,
            {f"{name}_{n}.py": f"def {name}_{n}(value):\n    return {n}\n" * 20 for n in range(4)},
        )
        for name in ("alpha", "beta", "gamma")
    ]


def run(folder: Path, options: TrainOptions = OPTIONS, max_steps: int | None = None) -> list[float]:
    loaded = models.load("tiny")
    corpus = Corpus(trees(), loaded.tokenizer, options.row_tokens, options.seed)
    train(loaded, corpus, options, folder, _ignore, max_steps)
    return [step["loss"] for step in read_records(folder / METRICS)]


def _ignore(_: Progress) -> None:
    """Nobody is watching."""


@pytest.mark.parametrize(
    "scope", ["all", "memory-projections", "memory-attention", "memory-layers", "lora"]
)
def test_each_scope_learns_and_changes_nothing_else(tmp_path: Path, scope: str) -> None:
    options = dataclasses.replace(OPTIONS, scope=scope, total_tokens=30 * 8 * 64)
    losses = run(tmp_path, options)
    assert sum(losses[-5:]) < sum(losses[:5])
    untouched = models.load("tiny").model.state_dict()
    changed = load_file(tmp_path / "adapter.safetensors")
    assert not [name for name in changed if torch.equal(changed[name], untouched[name])]
    if scope == "memory-projections":
        assert all(name.split(".")[-2] in {"q_proj", "k_proj", "v_proj"} for name in changed)
    if scope != "all":
        assert all("layers.0." not in name and "embed" not in name for name in changed)


def test_chained_rows_train_too(tmp_path: Path) -> None:
    options = dataclasses.replace(
        OPTIONS, chained=True, bank_tokens=0, cross_batch_range=4, gradient_checkpointing=True
    )
    losses = run(tmp_path, options)
    assert sum(losses[-4:]) < sum(losses[:4])


def test_a_stopped_run_goes_on_along_the_same_curve(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", max_steps=5)
    parts = run(tmp_path / "parts")
    assert len(whole) == len(parts) == N_STEPS
    assert parts == pytest.approx(whole, abs=1e-4)
    ends = [load_file(tmp_path / name / "adapter.safetensors") for name in ("whole", "parts")]
    assert all(torch.allclose(ends[0][name], ends[1][name], atol=1e-4) for name in ends[0])


@NEEDS_KILL
def test_a_killed_run_goes_on_along_the_same_curve(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    folder = tmp_path / "killed"
    script = (
        "import dataclasses; from pathlib import Path;"
        "from tests.research.training import test_loop as t;"
        "o = dataclasses.replace(t.OPTIONS, save_minutes=0.0);"
        f"t.run(Path({str(folder)!r}), o)"
    )
    kill_run(script, folder)
    assert run(folder) == pytest.approx(whole, abs=1e-4)


def test_another_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    run(tmp_path, max_steps=1)
    with pytest.raises(ConfigError, match="learning_rate"):
        run(tmp_path, dataclasses.replace(OPTIONS, learning_rate=1e-5))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"scope": "some"}, "scope"),
        ({"sampled_share": 0.0}, "sampled_share"),
        ({"row_tokens": 4}, "row_tokens"),
        ({"accumulate": 0}, "accumulate"),
        ({"chained": True}, "bank_tokens"),
    ],
)
def test_options_that_cannot_be_run_are_named(change: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        dataclasses.replace(OPTIONS, **change)


def test_the_published_recipe() -> None:
    """LongLLaMA-Code 7B: 256k tokens in a batch, constant rate (paper, appendix A)."""
    recipe = PRESETS["published-7b"]
    assert recipe.tokens_per_pass * recipe.accumulate == 256 * 1024
    assert (recipe.learning_rate, recipe.weight_decay) == (2e-5, 0.01)
    assert recipe.schedule.startswith("constant")


def test_layers_below_the_scope_need_no_gradient() -> None:
    model = models.load("tiny").model
    assert all(
        ".1." in name or ".2." in name for name in select_parameters(model, "memory-attention")
    )
    assert lowest_trained_layer(model) == 1
    select_parameters(model, "all")
    assert lowest_trained_layer(model) == 0
