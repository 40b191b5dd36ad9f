"""The probe: restarting is exact, choosing is sound, and nothing is left changed."""

import argparse
import copy
import json
import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longllama_code.checkpoints.loading import load_config, write_config
from longllama_code.commands import probe as command
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation import plots
from longllama_code.research.evaluation.bootstrap import Interval
from longllama_code.research.evaluation.losses import Window, token_losses, window_ids
from longllama_code.research.evaluation.memories import encode_files, memory_of
from longllama_code.research.evaluation.probe.data import Sizes
from longllama_code.research.evaluation.probe.head_capture import (
    capture,
    encode_all_heads,
    memory_heads,
    rerun,
)
from longllama_code.research.evaluation.probe.head_choice import (
    Change,
    Head,
    Losses,
    Rules,
    choose,
    rank,
)
from longllama_code.research.evaluation.probe.report import memory_fields, write_report
from longllama_code.research.evaluation.probe.search import ProbeOptions, ProbeResult, probe

OPTIONS = ProbeOptions(Sizes(windows=2, window_tokens=48, memory_tokens=300), seed=3)


@pytest.fixture
def half(tiny: LoadedModel) -> LoadedModel:
    """Tiny with memory in float16, as the probe would keep a float32 memory."""
    config = copy.deepcopy(tiny.model.config)
    config.mem_dtype = "float16"
    return replace(tiny, model=clone(tiny, config))


def clone(loaded: LoadedModel, config) -> LongLlamaForCausalLM:
    model = LongLlamaForCausalLM(config).eval()
    model.load_state_dict(loaded.model.state_dict())
    return model


def with_heads(loaded: LoadedModel, heads: dict[str, list[int]]) -> LoadedModel:
    """The model as it would be loaded with these heads in its ``config.json``."""
    config = copy.deepcopy(loaded.model.config)
    config.mem_layers, config.mem_heads = [int(layer) for layer in heads], heads
    return replace(loaded, model=clone(loaded, config))


def window_of(loaded: LoadedModel, text: str) -> Window:
    return Window("a.py", 0, *window_ids(loaded, "a.py", text))


def code(seed: int, n_lines: int = 30) -> str:
    rng = random.Random(seed)
    return "".join(f"def f{rng.randrange(99)}(x):\n    return x + {n}\n" for n in range(n_lines))


def trees(n: int) -> list[SourceTree]:
    return [SourceTree(f"r{k}", {f"m{j}.py": code(10 * k + j) for j in range(4)}) for k in range(n)]


def state(loaded: LoadedModel) -> list[object]:
    attentions = [layer.self_attn for layer in loaded.model.model.layers]
    return [
        loaded.model.config.to_dict(),
        [(attention.mem_heads, attention.local_heads) for attention in attentions],
    ]


@pytest.mark.parametrize(
    ("before", "added"),
    [((), (0, 1)), ((), (2, 0)), (((0, 0), (2, 1)), (1, 1)), (((1, 0),), (1, 1))],
)
@pytest.mark.parametrize("top_k", [None, 5])
def test_restarting_equals_a_model_configured_so(
    half: LoadedModel, before: tuple[Head, ...], added: Head, top_k: int | None
) -> None:
    half.model.config.mem_top_k = top_k
    texts = {"b.py": code(1), "c.py": code(2)}
    memory = encode_all_heads(half, texts, 10_000)
    window = window_of(half, code(3, 5))
    stored = capture(half, window, before, memory, {added[0]})
    found = rerun(half, window, {*before, added}, memory, (added[0], stored.inputs[added[0]]))

    heads: dict[str, list[int]] = {}
    for layer, head in sorted({*before, added}):
        heads.setdefault(str(layer), []).append(head)
    configured = with_heads(half, heads)
    view = CompletionMemory(memory_of(configured, encode_files(configured, texts)), None)
    wanted = token_losses(configured, window.ids, window.n_head, view)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    without = token_losses(configured, window.ids, window.n_head, None)
    assert (found - without).abs().max() > 1e-3, "memory must matter for the law to say anything"


def test_no_head_is_no_memory(half: LoadedModel) -> None:
    memory = encode_all_heads(half, {"b.py": code(1)}, 200)
    window = window_of(half, code(3, 5))
    found = capture(half, window, (), memory, ()).losses
    wanted = token_losses(half, window.ids, window.n_head, None)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_memory_is_bounded_and_skips_first_tokens(half: LoadedModel) -> None:
    texts = {"b.py": code(1), "c.py": code(2)}
    whole, short = encode_all_heads(half, texts, 10_000), encode_all_heads(half, texts, 100)
    assert short.n_tokens == 100
    assert short.paths == ["b.py"]
    torch.testing.assert_close(short.keys, whole.keys[:, :, :100])
    later = encode_all_heads(half, texts, 90, skip_first=10)
    torch.testing.assert_close(later.values, whole.values[:, :, 10:100])
    assert whole.keys.dtype == torch.float16


class Broken:
    def layer_view(self, layer_idx: int, input_keys: object) -> None:
        raise RuntimeError("midway")


def test_the_model_is_as_before_after_an_error(tiny: LoadedModel) -> None:
    before = state(tiny)
    with memory_heads(tiny.model, {(0, 1)}):
        assert state(tiny) != before
    assert state(tiny) == before

    with pytest.raises(RuntimeError, match="midway"):
        capture(tiny, window_of(tiny, code(1, 3)), {(1, 0), (2, 0)}, Broken(), ())
    assert state(tiny) == before

    def fail(line: str) -> None:
        if line.startswith("head 1"):
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        probe(tiny, trees(2), replace(OPTIONS, top_k=3), fail)
    assert state(tiny) == before


def test_the_same_seed_finds_the_same(tiny: LoadedModel) -> None:
    before = state(tiny)
    one = probe(tiny, trees(4), OPTIONS)
    other = probe(tiny, trees(4)[::-1], OPTIONS)
    assert one.ranked == other.ranked
    assert one.changes == other.changes
    assert one.steps == other.steps
    assert len(one.ranked) == 6
    first, second = ({subject.name for subject in half} for half in (one.first, one.second))
    assert not first & second
    assert state(tiny) == before


def test_windows_come_from_files_that_memory_lacks(tiny: LoadedModel) -> None:
    found = probe(tiny, [*trees(3), SourceTree("one file", {"a.py": code(1)})], OPTIONS)
    assert found.skipped == ["one file"]
    for subject in [*found.first, *found.second]:
        asked = {window.path for window in subject.windows}
        assert asked
        assert not asked & set(subject.memory.paths)
        assert all(len(window.ids) - window.n_head == 48 for window in subject.windows)


def test_too_few_repositories(tiny: LoadedModel) -> None:
    with pytest.raises(ConfigError, match="two at least"):
        probe(tiny, trees(1), OPTIONS)
    with pytest.raises(ConfigError, match="do not fit"):
        probe(tiny, trees(2), replace(OPTIONS, sizes=Sizes(window_tokens=5000)))


class Planted:
    """Losses of a made-up model: each head has a gain and a distraction, which add up."""

    def __init__(self, gains: dict[Head, float], distraction: dict[Head, float]) -> None:
        self.gains, self.distraction = gains, distraction
        self.asked_foreign: list[list[Head]] = []

    def local(self) -> list[float]:
        return [3.0, 2.0]

    def own(self, accepted: Collection[Head], candidates: Collection[Head]) -> dict[Head, Losses]:
        return {head: self._losses(self.gains, [*accepted, head], -1) for head in candidates}

    def foreign(self, heads: Collection[Head]) -> Losses:
        self.asked_foreign.append(list(heads))
        return self._losses(self.distraction, heads, 1)

    def _losses(self, by: dict[Head, float], heads: Collection[Head], sign: int) -> list[float]:
        total = sign * sum(by.get(head, 0.0) for head in heads)
        return [loss + total for loss in self.local()]


def test_greedy_takes_the_planted_heads_and_stops() -> None:
    planted = Planted({(0, 0): 0.01, (1, 1): 0.2, (2, 0): 0.1, (2, 1): 0.001}, {})
    ranked = [(2, 1), (0, 0), (2, 0), (1, 1), (0, 1)]
    accepted, steps = choose(ranked, planted.local(), planted, Rules(min_gain=0.005))
    assert accepted == [(1, 1), (2, 0), (0, 0)]
    assert [step.verdict for step in steps] == ["accepted"] * 3 + ["too little gain"]
    assert steps[2].own.mean == pytest.approx(-0.31)
    assert steps[-1].foreign is None, "what does not help is not asked about twice"


def test_greedy_stops_at_its_limits() -> None:
    planted = Planted({(0, 0): 0.1, (1, 1): 0.2, (2, 0): 0.3}, {})
    ranked = [(0, 0), (1, 1), (2, 0)]
    assert choose(ranked, planted.local(), planted, Rules(max_heads=1))[0] == [(2, 0)]
    few = Rules(candidates=2)
    assert choose(ranked, planted.local(), planted, few)[0] == [(1, 1), (0, 0)]
    assert choose([], planted.local(), planted, few) == ([], [])


def test_the_guard_rejects_a_head_that_distracts() -> None:
    gains = {(0, 0): 0.3, (1, 1): 0.2, (2, 0): 0.1}
    planted = Planted(gains, {(0, 0): 0.2, (1, 1): 0.04, (2, 0): 0.02})
    accepted, steps = choose(list(gains), planted.local(), planted, Rules(guard=0.05))
    assert accepted == [(1, 1)]
    assert [step.verdict for step in steps] == ["distracted", "accepted", "distracted"]
    assert planted.asked_foreign == [[(0, 0)], [(1, 1)], [(1, 1), (2, 0)]]


def test_ranking_breaks_ties_by_place() -> None:
    changes = {(1, 0): Change(0.0, None), (0, 1): Change(0.0, None), (0, 0): Change(-1.0, 0.1)}
    assert rank(changes) == [(0, 0), (0, 1), (1, 0)]


def test_a_change_is_paired() -> None:
    change = Change.between([1.0, 5.0], [2.0, 8.0])
    assert change.mean == 2.0
    assert change.error == pytest.approx(1.0)
    assert Change.between([1.0], [2.0]).error is None


@pytest.fixture
def found(tiny: LoadedModel) -> ProbeResult:
    result = probe(tiny, trees(2), OPTIONS)
    return replace(result, accepted=[(2, 1), (0, 1), (2, 0)])


def test_the_result_becomes_a_configuration(
    tiny: LoadedModel, found: ProbeResult, tmp_path: Path
) -> None:
    fields = {**tiny.model.config.to_dict(), "unknown": "kept"}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    write_config(tmp_path, memory_fields(found))
    config = load_config(tmp_path)
    assert list(config.mem_layers) == [0, 2]
    assert config.mem_heads == {"0": [1], "2": [0, 1]}
    assert config.mem_top_k is None
    assert json.loads((tmp_path / "config.json").read_text())["unknown"] == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_top_k_is_written_where_it_was_asked_for(found: ProbeResult) -> None:
    assert "mem_top_k" not in memory_fields(found)
    asked = replace(found, options=replace(OPTIONS, top_k=8), top_k=8)
    assert memory_fields(asked)["mem_top_k"] == 8


def test_no_head_leaves_the_configuration(found: ProbeResult, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no head"):
        write_config(tmp_path, memory_fields(replace(found, accepted=[])))
    assert (tmp_path / "config.json").read_text() == "{}"


def test_the_report_says_what_it_takes_to_repeat(
    tiny: LoadedModel, found: ProbeResult, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    paths = write_report(tiny, found, tmp_path / "out")
    assert [path.name for path in paths] == ["probe.json", "heads.png", "heads.svg"]
    report = json.loads(paths[0].read_text())
    assert report["options"]["seed"] == 3
    assert len(report["ranking"]) == 6
    assert report["config"] == memory_fields(found)
    assert report["model"]["fingerprint"] == tiny.fingerprint
    assert {"name", "digest", "windows", "memory_files", "memory_tokens"} == set(
        report["choosing_repositories"][0]
    )


def test_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cells = [[0.1, -0.2], [float("nan"), 0.0]]
    for stem in (tmp_path / "a" / "map", tmp_path / "b" / "map"):
        plots.heat_map(cells, [0, 1], ["x", "y"], "T", "X", "Y", "nats", stem)
    line = plots.curves({"s": [(1, 2), (10, 3)]}, "T", "X", "Y", tmp_path / "line", log_x=True)
    assert line == [tmp_path / "line.png", tmp_path / "line.svg"]
    known, unsure = Interval(-0.2, -0.3, -0.1, 9), Interval(0.1, None, None, 1)
    plots.bars({"a": {"x": known, "y": unsure}, "b": {"y": known}}, "T", "X", "Y", tmp_path / "bar")
    text = (tmp_path / "bar.svg").read_text("utf-8")
    assert all(f">{label}</text>" in text for label in "abxyTXY")
    for stem in (tmp_path / "a" / "map", tmp_path / "line", tmp_path / "bar"):
        assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert ElementTree.parse(stem.with_suffix(".svg")).getroot().tag.endswith("svg")
    drawn = [(tmp_path / name / "map.svg").read_bytes() for name in "ab"]
    assert drawn[0] == drawn[1]
    with pytest.raises(ValueError, match="2 cells"):
        plots.heat_map([[0.0]], [0], [0, 1], "", "", "", "", tmp_path / "bad")


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"longllama-code-lsp\[eval\]"):
        plots.require_matplotlib()


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    options = parser.parse_args(["probe", *arguments])
    return options.run(options)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    repos: list[str] = []
    for tree in trees(2):
        for name, text in tree.texts.items():
            path = tmp_path / tree.name / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        repos += ["--repo", str(tmp_path / tree.name)]
    sizes = ["--windows", "1", "--window-tokens", "40", "--memory-tokens", "200"]
    assert run("--model", "tiny", *repos, *sizes, "--output", str(tmp_path / "out")) == 0
    assert "found: " in capsys.readouterr().out
    assert (tmp_path / "out" / "heads.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--windows", "0"], "--windows is 0"),
        (["--top-k", "0"], "--top-k is 0"),
        (["--write"], "tiny has no config.json"),
        (["--repo", "nowhere at all"], "is no folder"),
        ([], "two at least"),
    ],
)
def test_what_cannot_work_is_refused_first(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run("--model", "tiny", *arguments)
