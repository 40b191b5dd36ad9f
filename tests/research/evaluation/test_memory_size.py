"""Loss against the size of memory: zero at zero, own files first, the same under one seed."""

import argparse
import json
import string

import pytest

from longllama_code.commands import sizes as command
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.lengths.memory_size import (
    SizeOptions,
    SizeResult,
    memory_sizes,
)
from longllama_code.research.evaluation.lengths.memory_size_report import (
    as_json,
    as_markdown,
    write_report,
)

OPTIONS = SizeOptions((0, 600, 1_500, 4_000), own_tokens=2_500, windows=2, window_tokens=48, seed=3)


def tree(name: str) -> SourceTree:
    def text(number: int) -> str:
        return "".join(
            f"def {name}_{number}_{letter}(value):\n    return value + {number}\n\n\n"
            for letter in string.ascii_lowercase[:10]
        )

    return SourceTree(name, {f"{name}/part_{n}.py": text(n) for n in range(8)})


TREES = [tree("harbour"), tree("quay"), tree("mole")]


@pytest.fixture(scope="module")
def result(tiny: LoadedModel) -> SizeResult:
    return memory_sizes(tiny, TREES, OPTIONS)


def test_no_memory_changes_nothing(result: SizeResult) -> None:
    at_zero = [one for one in result.measured if one.length == 0]
    assert len(at_zero) == len(TREES)
    assert all(change == 0.0 for one in at_zero for change in one.changes)
    assert (result.change(0).mean, result.change(0).error) == (0.0, 0.0)


def test_memory_changes_the_loss(result: SizeResult) -> None:
    assert all(change for one in result.measured if one.length for change in one.changes)


def test_own_files_come_first_and_then_those_of_others(result: SizeResult) -> None:
    for one in result.measured:
        assert one.memory_tokens <= one.length
        if one.length <= 1_500:
            assert one.own_tokens == one.memory_tokens
        if one.length == 4_000:
            assert one.own_tokens < one.memory_tokens
            assert one.own_tokens >= OPTIONS.own_tokens
    assert result.own_share(1_500) == 1.0
    assert 0.5 < result.own_share(4_000) < 1.0


def test_a_mean_is_over_all_windows_or_those_of_one(result: SizeResult) -> None:
    rows = [one for one in result.measured if one.length == 600]
    changes = [change for one in rows for change in one.changes]
    assert result.change(600).mean == pytest.approx(sum(changes) / len(changes))
    assert len(changes) == OPTIONS.windows * len(TREES)
    quay = next(one for one in rows if one.repository == "quay")
    assert result.change(600, "quay").mean == pytest.approx(sum(quay.changes) / 2)


def test_the_same_seed_measures_the_same(tiny: LoadedModel, result: SizeResult) -> None:
    assert memory_sizes(tiny, TREES, OPTIONS) == result


def test_a_repository_is_measured_the_same_beside_any_others(
    tiny: LoadedModel, result: SizeResult
) -> None:
    alone = memory_sizes(tiny, TREES[:1], OPTIONS)
    assert alone.local_loss["harbour"] == result.local_loss["harbour"]
    for length in (600, 1_500):
        assert alone.change(length) == result.change(length, "harbour")
    assert alone.unreached == [4_000]


def test_sizes_that_one_repository_misses_are_left_out(tiny: LoadedModel) -> None:
    options = SizeOptions((0, 600, 10**9), 2_500, windows=1, window_tokens=48)
    found = memory_sizes(tiny, TREES[:2], options)
    assert found.unreached == [10**9]
    assert found.lengths() == [0, 600]
    assert {one.length for one in found.measured} == {0, 600}
    assert "Not reached by every repository: 1,000,000,000" in as_markdown("tiny", found)


@pytest.mark.parametrize(
    ("trees", "message"),
    [
        ([], "none of 0 repositories"),
        ([SourceTree("one", {"a.py": "x = 1\n"})], "none of 1 repositories"),
        ([TREES[0], TREES[0]], "share a name"),
    ],
)
def test_what_cannot_be_measured_is_refused(tiny: LoadedModel, trees, message) -> None:
    with pytest.raises(ConfigError, match=message):
        memory_sizes(tiny, trees, OPTIONS)


def test_the_report_says_what_was_found(tiny: LoadedModel, result: SizeResult, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    written = write_report(tiny, result, tmp_path / "new")
    assert [path.name for path in written] == ["sizes.json", "sizes.md", "sizes.png", "sizes.svg"]
    data = json.loads(written[0].read_text("utf-8"))
    assert data == json.loads(json.dumps(as_json(tiny, result)))
    assert [point["length"] for point in data["curve"]] == [0, 600, 1_500, 4_000]
    assert data["curve"][0]["mean"] == 0.0
    assert "| 0 | – | +0.0000 ± 0.0000 |" in as_markdown("tiny", result)


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    return parser.parse_args(["sizes", *arguments])


def test_the_command_runs_from_end_to_end(tmp_path, capsys) -> None:
    pytest.importorskip("matplotlib")
    for path, text in TREES[0].texts.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text, "utf-8")
    places = ["--repo", str(tmp_path / "tree"), "--output", str(tmp_path / "out")]
    sizes = ["--lengths", "0", "1000", "--trials", "1", "--window-tokens", "48"]
    options = parse("--model", "tiny", *places, *sizes)
    assert options.run(options) == 0
    assert "1 windows" in capsys.readouterr().err
    for name in ("sizes.json", "sizes.md", "sizes.png", "sizes.svg"):
        assert (tmp_path / "out" / name).stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to measure"),
        (["--packages", "1", "--trials", "0"], "--trials is 0"),
        (["--packages", "1", "--lengths", "-1"], "--lengths has -1"),
    ],
)
def test_the_command_refuses_what_cannot_work(arguments, message) -> None:
    options = parse("--model", "tiny", *arguments)
    with pytest.raises(ConfigError, match=message):
        options.run(options)
