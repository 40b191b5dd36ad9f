"""The command: options by name, and a run from its first step to its curves."""

from pathlib import Path

import pytest

from longllama_code.__main__ import main
from longllama_code.commands.train import choose_options, parse_heads
from longllama_code.errors import ConfigError
from longllama_code.research.training.options import PRESETS

TEXT = "def name_{n}(value):\n    return value + {n}\n" * 20


def test_options_replace_those_of_the_preset() -> None:
    options = choose_options("mini", ["learning_rate=1e-5", "scope=above", "shares=[[0,0],[1,3]]"])
    assert (options.learning_rate, options.scope) == (1e-5, "above")
    assert options.shares == ((0, 0), (1, 3))
    assert options.bank_tokens == PRESETS["mini"].bank_tokens


@pytest.mark.parametrize(
    ("preset", "change", "match"),
    [
        ("maxi", "seed=1", "maxi"),
        ("mini", "speed=1", "speed"),
        ("mini", "accumulate=many", "many|accumulate"),
        ("mini", "sampled_share=2", "sampled_share"),
    ],
)
def test_options_that_cannot_be_read_are_named(preset: str, change: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        choose_options(preset, [change])


def test_heads() -> None:
    assert parse_heads("17:1,20:1,20:2") == {"17": [1], "20": [1, 2]}
    with pytest.raises(ConfigError, match="17-1"):
        parse_heads("17-1")


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(6):
        path = tmp_path / f"repo_{n % 2}" / f"file_{n}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(TEXT.replace("{n}", str(n)))
    run = tmp_path / "run"
    arguments = ["train", str(run), "--model", "tiny", "--repo", str(tmp_path / "repo_0")]
    arguments += ["--repo", str(tmp_path / "repo_1")]
    for change in ("total_tokens=512", "row_tokens=64", "repositories_per_step=2", "packed=true"):
        arguments += ["--set", change]
    assert main(arguments) == 0
    assert "adapter.safetensors" in capsys.readouterr().out
    assert {"adapter.safetensors", "metrics.jsonl", "curves.png", "curves.svg"} <= {
        path.name for path in run.iterdir()
    }
