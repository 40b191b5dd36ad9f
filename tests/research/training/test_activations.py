"""Rows that come again, and what frozen layers made of them, cached on disk."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load
from torch import nn

from longllama_code.errors import ConfigError
from longllama_code.generation import models
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.corpus import Corpus
from longllama_code.research.datasets.rows import Row
from longllama_code.research.run_folder import METRICS, read_records
from longllama_code.research.training.activations import ActivationCache
from longllama_code.research.training.loop import Progress, train
from longllama_code.research.training.options import TrainOptions
from tests.research.training.test_loop import OPTIONS, trees

PER_STEP = 2
AGAIN = dataclasses.replace(
    OPTIONS, total_tokens=6 * PER_STEP * 8 * 64, accumulate=PER_STEP, distinct_steps=2
)
"""Three times the rows of two steps."""
KEPT = dataclasses.replace(AGAIN, keep_activations=True)
N_STEPS, N_DISTINCT = 6, 2 * PER_STEP
ROWS = [Row([1, 2], ((0, 1),), 0, "a"), Row([3], ((0, 1),), 0, "b"), Row([4], (), 1, "c")]


def run(
    folder: Path, options: TrainOptions, max_steps: int | None = None
) -> tuple[list[float], int]:
    """Losses of all steps, and how often the first layer ran."""
    loaded = models.load("tiny")
    calls = _count(loaded)
    corpus = Corpus(trees(), loaded.tokenizer, options.row_tokens, options.seed)
    train(loaded, corpus, options, folder, _ignore, max_steps)
    return [step["loss"] for step in read_records(folder / METRICS)], len(calls)


def _count(loaded: LoadedModel) -> list[None]:
    calls: list[None] = []

    def note(*_: object) -> None:
        calls.append(None)

    layer = loaded.model.model.layers[0]
    assert isinstance(layer, nn.Module)
    layer.register_forward_hook(note)
    return calls


def _ignore(_: Progress) -> None:
    """Nobody is watching."""


def files(folder: Path) -> list[Path]:
    return sorted((folder / "activations").iterdir())


def test_rows_come_again_with_other_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    rows = Corpus.rows

    def note(self: Corpus, step: int, n_repositories: int, n_each: int) -> list[Row]:
        asked.append(step)
        return rows(self, step, n_repositories, n_each)

    monkeypatch.setattr(Corpus, "rows", note)
    frozen = dataclasses.replace(AGAIN, learning_rate=0.0, bank_tokens=0)
    losses, _ = run(tmp_path, frozen)
    assert asked == [0, 1, 2, 3] * 3
    assert len(set(losses)) == N_STEPS  # nothing learnt: what differs is who sees whom


def test_lower_layers_run_once_for_each_row(tmp_path: Path) -> None:
    plain, n_plain = run(tmp_path / "plain", AGAIN)
    cached, n_kept = run(tmp_path / "cached", KEPT)
    assert (n_plain, n_kept) == (N_STEPS * PER_STEP, N_DISTINCT)
    assert cached == pytest.approx(plain, abs=2e-3)
    assert [path.name for path in files(tmp_path / "cached")] == [
        f"{number}.safetensors" for number in range(N_DISTINCT)
    ]
    assert not (tmp_path / "plain" / "activations").exists()


def test_a_run_goes_on_with_what_it_kept(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole", KEPT)
    _, before = run(tmp_path / "parts", KEPT, max_steps=1)
    parts, after = run(tmp_path / "parts", KEPT)
    assert (before, after) == (PER_STEP, N_DISTINCT - PER_STEP)
    assert parts == pytest.approx(whole, abs=1e-6)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _swap(path: Path) -> None:
    """The file of other rows, of the same shape."""
    path.write_bytes(path.with_name("2.safetensors").read_bytes())


@pytest.mark.parametrize("damage", [_cut, _flip, _empty, _swap, Path.unlink])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    whole, _ = run(tmp_path / "whole", KEPT)
    run(tmp_path / "run", KEPT, max_steps=2)
    first = tmp_path / "run" / "activations" / "0.safetensors"
    hidden = load(first.read_bytes())["hidden"]
    damage(first)
    losses, n_calls = run(tmp_path / "run", KEPT)
    assert n_calls == 1
    assert losses == pytest.approx(whole, abs=1e-6)
    assert torch.equal(load(first.read_bytes())["hidden"], hidden)


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_rows_are_found_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, one: list[int], other: list[int]
) -> None:
    store = ActivationCache(tmp_path_factory.mktemp("store"), "model")
    hidden = torch.randn(3, 2, 4)
    returned = store.cached(7, ROWS, one).put(hidden[one])
    assert torch.equal(returned, hidden[one].half())
    found = store.cached(7, ROWS, other).get((3, 2, 4))
    assert found is not None
    assert torch.equal(found, hidden[other].half())


def test_what_another_model_or_other_rows_made_is_not_read(tmp_path: Path) -> None:
    store, order = ActivationCache(tmp_path, "model"), (0, 1, 2)
    store.cached(0, ROWS, order).put(torch.zeros(3, 2, 4))
    assert store.cached(0, ROWS, order).get((3, 2, 4)) is not None
    assert store.cached(0, ROWS, order).get((3, 2, 5)) is None
    assert store.cached(1, ROWS, order).get((3, 2, 4)) is None
    assert store.cached(0, ROWS[::-1], order).get((3, 2, 4)) is None
    assert ActivationCache(tmp_path, "other").cached(0, ROWS, order).get((3, 2, 4)) is None


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"1e\+06.*keep_activations=false"):
        ActivationCache(tmp_path, "m").cached(0, ROWS, (0, 1, 2)).put(torch.full((3, 2, 4), -1e6))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"distinct_steps": 0}, "distinct_steps is 0"),
        ({"distinct_steps": None}, "keep_activations is true and distinct_steps null"),
    ],
)
def test_options_that_contradict_each_other(change: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        dataclasses.replace(KEPT, **change)


def test_layers_that_are_trained_are_not_kept(tmp_path: Path) -> None:
    options = dataclasses.replace(KEPT, scope="all")
    with pytest.raises(ConfigError, match=r"scope 'all'.*memory-layers"):
        run(tmp_path, options)
    run(tmp_path, dataclasses.replace(options, keep_activations=False), max_steps=1)


def test_other_rows_are_another_run_and_a_run_from_before_is_not(tmp_path: Path) -> None:
    run(tmp_path, OPTIONS, max_steps=1)
    with pytest.raises(ConfigError, match="distinct_steps"):
        run(tmp_path, dataclasses.replace(OPTIONS, distinct_steps=3))
    path = tmp_path / "run.json"
    options = json.loads(path.read_text())
    del options["distinct_steps"], options["keep_activations"]
    path.write_text(json.dumps(options))
    run(tmp_path, OPTIONS, max_steps=1)
