"""The gate learns to copy where memory repeats what is asked, and not to where it doesn't."""

import json
import random
from pathlib import Path

import pytest
import torch

from longllama_code.__main__ import main
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.model_config import N_COPY_FEATURES
from longllama_code.research.datasets.sources import SourceTree, hold_out
from longllama_code.research.evaluation.fitting.copy_fit import (
    CopyFitOptions,
    Samples,
    collect,
    fit,
    fit_copying,
)
from longllama_code.research.evaluation.lengths.memory_size import SizeOptions, held_out_windows
from longllama_code.research.evaluation.losses import token_losses
from longllama_code.research.evaluation.memories import encode_files, memory_of

OPTIONS = CopyFitOptions(windows=2, window_tokens=64, memory_tokens=600)
CONSTANT = torch.tensor([1.0, *[0.0] * (N_COPY_FEATURES - 1)])


def tree(name: str) -> SourceTree:
    """Files that all use the same calls, other ones than those of another tree."""
    rng = random.Random(name)
    calls = ["".join(rng.choices("abcdefghij", k=9)) for _ in range(4)]
    texts = {
        f"{number}.py": "".join(f"{rng.choice(calls)}({rng.randrange(9)})\n" for _ in range(40))
        for number in range(8)
    }
    return SourceTree(name, texts)


def samples(features: torch.Tensor, match: list[float]) -> Samples:
    return Samples(features, torch.full((len(match),), 0.1), torch.tensor(match), len(match))


def test_the_gate_opens_where_copies_are_right_and_closes_where_they_are_wrong() -> None:
    features = CONSTANT.expand(8, -1).clone()
    right, wrong = samples(features, [1.0] * 8), samples(features, [0.0] * 8)
    assert fit(right) @ CONSTANT > 3
    assert fit(wrong) @ CONSTANT < -3
    # What tells right from wrong decides.
    features[4:, 1] = 1.0
    told = fit(samples(features, [0.0] * 4 + [1.0] * 4))
    assert features[0] @ told < -2 < 2 < features[4] @ told


def test_tokens_without_a_match_count_in_the_mean() -> None:
    one = samples(CONSTANT[None], [1.0])
    two = Samples.joined([one, Samples(torch.empty(0, 8), torch.empty(0), torch.empty(0), 1)])
    weights = 3 * CONSTANT
    assert float(two.change(weights)) == pytest.approx(float(one.change(weights)) / 2)


def test_the_change_is_that_of_the_loss(copying: LoadedModel, tiny: LoadedModel) -> None:
    """Samples and a gate say what an evaluation with that gate measures."""
    trees = [tree("one"), tree("two")]
    own, foreign = collect(copying, trees, OPTIONS, lambda _: None)
    rng = random.Random("copying 0 one")
    held, rest = hold_out(trees[0], 0.25, rng)
    windows = held_out_windows(copying, held, SizeOptions(windows=2, window_tokens=64), rng)
    paths = sorted(rest.texts)
    rng.shuffle(paths)
    files = encode_files(copying, {path: rest.texts[path] for path in paths}, 600)
    view = CompletionMemory(memory_of(copying, files), None)
    changes = [
        token_losses(copying, window.ids, window.n_head, view)
        - token_losses(tiny, window.ids, window.n_head, view)
        for window in windows
    ]
    measured = float(torch.cat(changes).mean())
    gate = torch.tensor(copying.model.config.copy_gate)
    assert float(own[0].change(gate)) == pytest.approx(measured, abs=1e-3)
    assert own[0].n_tokens == 128
    assert len(own[0].match) > len(foreign[0].match) * 0.5


def test_it_gains_where_the_repository_repeats_itself(tiny: LoadedModel) -> None:
    found = fit_copying(tiny, [tree(name) for name in "abcd"], OPTIONS)
    assert found.own < -0.5
    assert found.foreign > found.own + 0.4
    assert len(found.weights) == N_COPY_FEATURES


def test_one_repository_is_too_few(tiny: LoadedModel) -> None:
    with pytest.raises(ConfigError, match="1 of 2 repositories"):
        fit_copying(tiny, [tree("a"), SourceTree("b", {"a.py": "x\n"})], OPTIONS)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        for path, text in tree(name).texts.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / path).write_text(text)
    repos = [f"--repo={tmp_path / name}" for name in "ab"]
    small = ["--windows=1", "--window-tokens=64", "--memory-tokens=300"]
    assert main(["copying", "--model=tiny", *repos, *small]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert len(json.loads(first)["copy_gate"]) == N_COPY_FEATURES
    assert second.startswith("own memory: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--write"], "no config.json to write to"),
        (["--windows=0"], "--windows is 0"),
        (["--packages=-1"], "--packages is -1"),
        (["--repo=/nowhere/at/all"], "is no folder"),
        ([], "0 of 0 repositories"),
    ],
)
def test_the_command_refuses(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["copying", "--model=tiny", *arguments]) == 1
    assert message in capsys.readouterr().err
