"""The evaluation itself: figures follow the answers, nothing held out is remembered, variants."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from longllama_code.errors import ConfigError
from longllama_code.evaluation.ablation import Ablation, apply
from longllama_code.evaluation.arms import Answer, Arm
from longllama_code.evaluation.heldout_loss import loss_windows, losses, overlaps, window_row
from longllama_code.evaluation.lines import Cursor, cursors, project_of
from longllama_code.evaluation.losses import token_losses
from longllama_code.evaluation.memories import encode_files, memory_of
from longllama_code.evaluation.metrics import METRICS
from longllama_code.evaluation.names import Use
from longllama_code.evaluation.repo_completion import (
    EvalOptions,
    check,
    complete_lines,
    prepare,
)
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.view import MemoryView
from longllama_code.training.sources import SourceTree

TEXT = "from a import tide_gauge\n\ndef height(port):\n    return tide_gauge(port)\n"
DEFINED = {"a.py": "def tide_gauge(port):\n    return len(port)\n"}
PROJECT = project_of(DEFINED)
TREE = SourceTree("t", {f"{name}.py": f"def func_{name}():\n    pass\n" for name in "abcdefgh"})
OPTIONS = EvalOptions(arms=("local", "own"), memory_tokens=40, files=2)


def answers(text_of: Callable[[Cursor], str]) -> dict[str, set[float]]:
    """The values that each figure takes over all lines of a file."""
    arms = {"local": lambda cursor, prefix: Answer(text_of(cursor), 1, 0.0)}
    rows = list(complete_lines(arms, "r", {"b.py": TEXT}, cursors("b.py", TEXT, PROJECT)))
    assert len(rows) > 3
    return {name: {row.metrics[name] for row in rows} for name in METRICS}


def test_a_perfect_engine_is_right_everywhere() -> None:
    assert answers(lambda cursor: f"{cursor.wanted}  ") == {name: {1.0} for name in METRICS}


def test_a_broken_engine_is_wrong_everywhere() -> None:
    assert answers(lambda _: "") == {name: {0.0} for name in METRICS}
    assert answers(lambda _: "§§§") == {name: {0.0} for name in METRICS}


def test_an_engine_sees_the_text_before_the_line_alone() -> None:
    asked: list[tuple[int, str]] = []

    def note(cursor: Cursor, prefix: str) -> Answer:
        asked.append((cursor.line, prefix))
        return Answer("", 1, 0.0)

    found = list(cursors("b.py", TEXT, PROJECT))
    rows = list(complete_lines({"local": note}, "r", {"b.py": TEXT}, found))
    assert len(rows) == len(found) > len(asked)  # a line of two classes is completed once
    assert len({line for line, _ in asked}) == len(asked)
    lines = TEXT.split("\n")
    for line, prefix in asked:
        assert prefix.split("\n")[:-1] == lines[: line - 1]
        assert not prefix.rpartition("\n")[2].strip()


def test_what_is_held_out_is_not_remembered(tiny: LoadedModel) -> None:
    site = prepare(tiny, TREE, frozenset(), OPTIONS)
    assert len(site.held_out) == 2
    assert 0 < len(site.remembered) < 6  # memory is full before
    assert not site.held_out.keys() & site.remembered.keys()
    assert not any(f"func_{path[0]}" in site.project.definitions for path in site.held_out)
    again, other = (
        prepare(tiny, TREE, frozenset(), replace(OPTIONS, seed=seed)) for seed in (0, 1)
    )
    assert again.digest == site.digest != other.digest


def test_a_header_can_be_left_out(tiny: LoadedModel) -> None:
    with_header, without = (
        prepare(tiny, TREE, frozenset(), replace(OPTIONS, header=header))
        for header in (True, False)
    )
    assert with_header.remembered == without.remembered
    pairs = zip(with_header.files, without.files, strict=True)
    for one, other in pairs:
        assert one.n_tokens == other.n_tokens
        assert [s.id for s in one.segments] != [s.id for s in other.segments]


@pytest.mark.parametrize(
    ("trees", "options", "message"),
    [
        ([], OPTIONS, "nothing to evaluate"),
        ([TREE], replace(OPTIONS, arms=("local", "foreign")), "another repository"),
        ([TREE], replace(OPTIONS, arms=("own",)), "name local"),
        ([TREE], replace(OPTIONS, arms=("local", "magic")), "magic"),
        ([SourceTree("t", {"a.py": ""})], OPTIONS, "at least two"),
        ([TREE, TREE], OPTIONS, "one name"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    trees: list[SourceTree], options: EvalOptions, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check(trees, options)


def test_tokens_of_a_name_are_those_that_touch_it() -> None:
    uses = [Use("ab", 1, 12, 14), Use("cde", 1, 15, 18)]
    spans = [(0, 2), (2, 3), (3, 5), (5, 6), (6, 9), (7, 8), (8, 9)]
    assert overlaps(spans, uses, 10) == [False, True, True, True, True, True, False]
    assert overlaps(spans, [], 10) == [False] * 7


def test_windows_mark_the_names_of_the_project(tiny: LoadedModel) -> None:
    texts = {"b.py": TEXT, "c.py": "x = 1\n"}
    windows = list(loss_windows(tiny, texts, PROJECT, 4, 40, random.Random(1)))
    assert [window.path for window in windows] == ["b.py", "c.py", "b.py", "c.py"]
    for window in windows:
        text = texts[window.path]
        assert window.start == 0 or text[window.start - 1] == "\n"
        assert len(window.ids) == len(window.project) == min(40, len(text))
        marked = [id_ for id_, of in zip(window.ids, window.project, strict=True) if of]
        shown = tiny.tokenizer.decode(marked)
        assert set(shown) <= set("tide_gauge")
        assert ("tide_gauge" in shown) == (window.path == "b.py")


def test_losses_are_those_of_a_window_as_a_completion_would_see_it(tiny: LoadedModel) -> None:
    memory = memory_of(tiny, encode_files(tiny, DEFINED))
    (window,) = loss_windows(tiny, {"b.py": TEXT}, PROJECT, 1, 40, random.Random(1))
    n_head = len(window.head)
    local = token_losses(tiny, window.head + window.ids, n_head, None)
    own = token_losses(tiny, window.head + window.ids, n_head, MemoryView(memory, None))
    torch.testing.assert_close(losses(tiny, window, [], Arm()), local)
    torch.testing.assert_close(losses(tiny, window, [], Arm(memory)), own)
    assert not torch.allclose(own, local)
    row = window_row(tiny, "r", window, "own", Arm(memory), 0)
    mask = torch.tensor(window.project)
    assert (row.tokens, row.project_tokens) == (40, int(mask.sum()))
    assert row.loss == pytest.approx(float(own.sum()))
    assert row.project_loss == pytest.approx(float(own[mask].sum()))


def test_a_context_is_no_part_of_the_loss(tiny: LoadedModel) -> None:
    (window,) = loss_windows(tiny, {"b.py": TEXT}, PROJECT, 1, 40, random.Random(1))
    arm = Arm(None, lambda path, names, room: [65] * min(room, 7))
    row = window_row(tiny, "r", window, "composed", arm, 30)
    assert row.tokens == 40
    assert row.prompt_tokens == len(window.head) + 40 + 7
    assert row.loss != window_row(tiny, "r", window, "local", Arm(), 30).loss


def test_a_variant_leaves_the_model_alone(tiny: LoadedModel) -> None:
    before = tiny.model.config.to_dict()
    asked = Ablation(32, 64, mem_top_k=2, mem_dtype="float16", mem_heads={"2": [1]})
    variant = apply(tiny, asked)
    config = variant.model.config
    assert (variant.limits.min_tokens, variant.limits.max_tokens) == (32, 64)
    assert (config.mem_top_k, config.mem_dtype) == (2, "float16")
    assert (list(config.mem_layers), config.mem_heads) == ([2], {"2": [1]})
    assert tiny.model.config.to_dict() == before
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        torch.testing.assert_close(variant.model(ids).logits, tiny.model(ids).logits)
    assert encode_files(variant, DEFINED)[0].segments[0].keys.shape[0] == 1


def test_variants_of_single_settings(tiny: LoadedModel) -> None:
    assert apply(tiny, Ablation()) == tiny
    assert apply(tiny, Ablation(mem_top_k=0)).model.config.mem_top_k is None
    layers = apply(tiny, Ablation(mem_layers=(1,))).model.config
    assert (list(layers.mem_layers), layers.memory_heads(1)) == ([1], (0, 1))
    limits = apply(tiny, Ablation(max_segment_tokens=10)).limits
    assert (limits.min_tokens, limits.max_tokens) == (5, 10)
    for wrong in (Ablation(9, 8), Ablation(mem_heads={"2": [7]}), Ablation(mem_dtype="int3")):
        with pytest.raises(ConfigError):
            apply(tiny, wrong)
