"""The command from end to end with tiny, and that its report says what was measured."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pytest

from longllama_code.commands import evaluate
from longllama_code.errors import ConfigError
from longllama_code.generation import models
from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.completion.heldout_loss import WindowRow
from longllama_code.research.evaluation.completion.report import costs, figures
from longllama_code.research.evaluation.completion.repository import LineRow, Results


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add(parser.add_subparsers())
    options = parser.parse_args(["eval", "--model", "tiny", *arguments])
    return options.run(options)


def line(path: str, number: int, condition: str, value: float, kind: str = "infile") -> LineRow:
    metrics = dict.fromkeys(
        ("exact_match", "edit_similarity", "identifier_match", "identifier_f1"), value
    )
    return LineRow("r", path, number, kind, condition, "x", "x", metrics, 10 + number, 0.5)


def test_differences_are_paired() -> None:
    """Lines differ far more than conditions do: only pairs can tell that own is always better."""
    rows = [
        row
        for n in range(8)
        for row in (line(f"{n}", n, "local", n / 10), line(f"{n}", n, "own", n / 10 + 0.1))
    ]
    found = {figure.condition: figure for figure in figures(Results([], rows), 0)}
    own = found["own"]
    assert found["local"].difference is None
    assert own.difference is not None
    assert own.difference.mean == pytest.approx(0.1)
    assert own.difference.low == pytest.approx(0.1)
    assert own.difference.high == pytest.approx(0.1)
    assert own.value.low is not None
    assert own.value.high is not None
    assert own.value.high - own.value.low > 0.1


def test_loss_is_weighed_by_tokens_and_told_as_perplexity() -> None:
    rows = [
        WindowRow("r", "a", 0, "local", 10, 20.0, 2, 8.0, 12),
        WindowRow("r", "b", 0, "local", 30, 60.0, 0, 0.0, 32),
        WindowRow("r", "a", 0, "own", 10, 10.0, 2, 6.0, 12),
        WindowRow("r", "b", 0, "own", 30, 62.0, 0, 0.0, 32),
    ]
    found = {(f.kind, f.condition): f for f in figures(Results([], [], rows), 0)}
    whole, names = found["all tokens", "own"], found["in-project", "own"]
    assert whole.value.mean == pytest.approx(72 / 40)
    assert whole.difference is not None
    assert whole.difference.mean == pytest.approx(-8 / 40)
    assert whole.perplexity_change_percent == pytest.approx(100 * (math.exp(-0.2) - 1))
    assert names.difference is not None
    assert (names.value.count, names.difference.mean) == (2, pytest.approx(-1))
    assert names.difference.low is None  # of one file


def test_conditions_that_add_to_another_are_compared_with_it() -> None:
    values = {"local": 0.1, "own": 0.2, "after-prompt": 0.7, "after-memory": 0.4}
    rows = [
        line(f"{n}", n, condition, n / 10 + value)
        for n in range(4)
        for condition, value in values.items()
    ]
    found = {figure.condition: figure for figure in figures(Results([], rows), 0)}
    differences = {
        condition: {base: round(paired.mean, 6) for base, paired in figure.more_differences.items()}
        for condition, figure in found.items()
    }
    assert differences == {
        "local": {},
        "own": {},
        "after-memory": {"own": 0.2},
        "after-prompt": {"own": 0.5, "after-memory": 0.3},
    }
    assert found["after-prompt"].more_differences["own"].low == pytest.approx(0.5)
    assert found["after-prompt"].difference is not None
    assert found["after-prompt"].difference.mean == pytest.approx(0.6)


def test_a_line_of_two_classes_costs_once() -> None:
    rows = [line("a", 1, "own", 1), line("a", 1, "own", 1, "random"), line("a", 3, "own", 1)]
    (cost,) = costs(rows)
    assert (cost.tokens, cost.seconds, cost.completions) == (12, 0.5, 2)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("eval")
    for repository in ("one", "two"):
        (root / repository).mkdir()
        for number in range(4):
            body = f"def {repository}_{number}(value):\n    return value + {number}\n\n\n"
            calls = f"print({repository}_{(number + 1) % 4}(value={number}))\n" * 20
            (root / repository / f"m{number}.py").write_text(body + calls)
    arguments = ["--files", "2", "--lines", "1", "--windows", "2", "--window-tokens", "48"]
    arguments += ["--memory-tokens", "500", "--prompt-tokens", "99", "--mem-top-k", "4"]
    repositories = ["--repo", str(root / "one"), "--repo", str(root / "two")]
    assert command(*repositories, *arguments, "--output", str(root / "out")) == 0
    return root / "out", json.loads((root / "out" / "eval.json").read_text())


def test_the_report_has_what_repeats_it(report: tuple[Path, dict[str, Any]]) -> None:
    folder, found = report
    assert found["options"]["seed"] == 0
    assert found["options"]["repo"] == ["one", "two"]
    assert found["model"]["config"]["mem_top_k"] == 4
    assert found["made_with"]["versions"]["torch"]
    assert str(folder.parent) not in json.dumps(found)
    for site in found["repositories"]:
        assert len(site["held_out"]) == 2
        assert not set(site["held_out"]) & set(site["remembered"])
        assert site["memory_tokens"] > 0
        assert site["encoding_seconds"] > 0


def test_figures_agree_with_rows_and_tables(report: tuple[Path, dict[str, Any]]) -> None:
    folder, found = report
    table = (folder / "eval.md").read_text()
    conditions = {"local", "own", "foreign", "both", "composed", "oracle"}
    assert {row["condition"] for row in found["lines"]} == conditions
    assert {row["condition"] for row in found["windows"]} == conditions - {"oracle"}
    for figure in found["figures"]:
        if figure["measure"] == "loss":
            rows = [row for row in found["windows"] if row["condition"] == figure["condition"]]
            prefix = "project_" if figure["kind"] == "in-project" else ""
            pairs = {
                (row["repository"], row["path"], row["start"]): (
                    row[f"{prefix}loss"],
                    row[f"{prefix}tokens"],
                )
                for row in rows
            }
            total, count = (sum(part) for part in zip(*pairs.values(), strict=True))
        else:
            rows = [row for row in found["lines"] if row["kind"] == figure["kind"]]
            rows = [row for row in rows if row["condition"] == figure["condition"]]
            total, count = sum(row["metrics"][figure["measure"]] for row in rows), len(rows)
        assert figure["value"]["mean"] == pytest.approx(total / count)
        assert figure["value"]["count"] == count
        digits = 4 if figure["measure"] == "loss" else 3
        shown = f"| {figure['kind']} | {count} | {figure['condition']} | {total / count:.{digits}f}"
        assert shown in table
    assert {path.name for path in folder.iterdir()} == {
        *("eval.json", "eval.md", "lines.png", "lines.svg", "loss.png", "loss.svg")
    }


def test_conditions_cost_what_they_show(report: tuple[Path, dict[str, Any]]) -> None:
    tokens: dict[str, list[int]] = {}
    for row in report[1]["windows"]:
        tokens.setdefault(row["condition"], []).append(row["prompt_tokens"])
    assert tokens["own"] == tokens["foreign"] == tokens["both"] == tokens["local"]
    assert tokens["composed"] == [number + 99 for number in tokens["local"]]


def test_the_conditions_of_the_text_after_the_cursor(
    infilling: LoadedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Asked for by name; every figure of theirs is in the tables, beside that of own."""
    root = tmp_path / "one"
    root.mkdir()
    for number in range(4):
        lines = "".join(f"def name_{number}_{n}(): return {n}\n" for n in range(30))
        (root / f"m{number}.py").write_text(lines)
    arguments = ["--repo", str(root), "--files", "1", "--lines", "1", "--windows", "2"]
    arguments += ["--window-tokens", "32", "--memory-tokens", "300", "--prompt-tokens", "0"]
    arguments += ["--conditions", "local,own,after-memory,after-prompt"]
    with pytest.raises(ConfigError, match="infill_marks"):
        command(*arguments, "--output", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(models, "load", lambda _: infilling)
    assert command(*arguments, "--output", str(tmp_path / "out")) == 0
    found = json.loads((tmp_path / "out" / "eval.json").read_text())
    table = (tmp_path / "out" / "eval.md").read_text()
    conditions = ["local", "own", "after-memory", "after-prompt"]
    for part in ("lines", "windows", "figures", "costs"):
        assert list(dict.fromkeys(row["condition"] for row in found[part])) == conditions
    assert "| value | Δ | Δ own | Δ after-memory |" in table
    assert "| value | Δ | perplexity | Δ own | Δ after-memory |" in table
    rows = {row["condition"]: row for row in reversed(found["windows"])}
    assert rows["after-prompt"]["prompt_tokens"] > rows["own"]["prompt_tokens"]
    (figure,) = (
        figure
        for figure in found["figures"]
        if (figure["kind"], figure["condition"]) == ("all tokens", "after-prompt")
    )
    for base in ("own", "after-memory"):
        mean = figure["more_differences"][base]["mean"]
        (other,) = (
            other
            for other in found["figures"]
            if (other["kind"], other["condition"]) == ("all tokens", base)
        )
        assert mean == pytest.approx(figure["value"]["mean"] - other["value"]["mean"])
        assert f"{mean:+.4f}" in table
    assert found["model"]["config"]["infill_marks"] == [0xFE, 0xFF]
    drawn = (tmp_path / "out" / "lines.svg").read_text()
    assert all(f">{condition}</text>" in drawn for condition in conditions[1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lines", "0", "--windows", "0"], "both 0"),
        (["--files", "0"], "--files"),
        (["--repo", "nowhere"], "no folder"),
        (["--mem-layers", "a"], "--mem-layers"),
        (["--mem-heads", "17"], "LAYER:HEAD"),
        ([], "nothing to evaluate"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        command(*arguments, "--output", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
