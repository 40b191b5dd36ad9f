"""The evaluation itself: figures follow the answers, nothing held out is remembered, variants."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import TUNED_SUFFIX_TOKENS, InfillMarks
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.memory.segments.identity import path_header
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.ablation import Ablation, apply
from longllama_code.research.evaluation.completion import conditions as arms_module
from longllama_code.research.evaluation.completion import repository
from longllama_code.research.evaluation.completion.conditions import Answer, Condition
from longllama_code.research.evaluation.completion.heldout_loss import (
    LossWindow,
    loss_windows,
    losses,
    overlaps,
    window_row,
)
from longllama_code.research.evaluation.completion.lines import Cursor, cursors, project_of
from longllama_code.research.evaluation.completion.metrics import METRICS
from longllama_code.research.evaluation.completion.repository import (
    MAX_AFTER_TOKENS,
    EvalOptions,
    _foreign,
    after_line,
    check,
    complete_lines,
    evaluate,
    prepare,
)
from longllama_code.research.evaluation.encodings import Encoding
from longllama_code.research.evaluation.losses import token_losses
from longllama_code.research.evaluation.memories import EncodedFile, encode_files, memory_of
from longllama_code.research.evaluation.names.reader import Use

TEXT = "from a import tide_gauge\n\ndef height(port):\n    return tide_gauge(port)\n"
DEFINED = {"a.py": "def tide_gauge(port):\n    return len(port)\n"}
PROJECT = project_of(DEFINED)
TREE = SourceTree("t", {f"{name}.py": f"def func_{name}():\n    pass\n" for name in "abcdefgh"})
OPTIONS = EvalOptions(conditions=("local", "own"), memory_tokens=40, files=2)


def answers(text_of: Callable[[Cursor], str]) -> dict[str, set[float]]:
    """The values that each figure takes over all lines of a file."""
    conditions = {"local": lambda cursor, prefix: Answer(text_of(cursor), 1, 0.0)}
    rows = list(complete_lines(conditions, "r", {"b.py": TEXT}, cursors("b.py", TEXT, PROJECT)))
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
        prepare(tiny, TREE, frozenset(), replace(OPTIONS, encoding=Encoding(header=header)))
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
        ([TREE], replace(OPTIONS, conditions=("local", "foreign")), "another repository"),
        ([TREE], replace(OPTIONS, conditions=("own",)), "name local"),
        ([TREE], replace(OPTIONS, conditions=("local", "magic")), "magic"),
        ([TREE], replace(OPTIONS, conditions=("local", "after-memory")), "add own"),
        ([TREE], replace(OPTIONS, conditions=("local", "after-prompt")), "add own"),
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
        assert window.after == text[window.start + len(window.ids) :]
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
    own = token_losses(tiny, window.head + window.ids, n_head, CompletionMemory(memory, None))
    torch.testing.assert_close(losses(tiny, window, [], Condition()), local)
    torch.testing.assert_close(losses(tiny, window, [], Condition(memory)), own)
    assert not torch.allclose(own, local)
    row = window_row(tiny, "r", window, "own", Condition(memory), 0)
    mask = torch.tensor(window.project)
    assert (row.tokens, row.project_tokens) == (40, int(mask.sum()))
    assert row.loss == pytest.approx(float(own.sum()))
    assert row.project_loss == pytest.approx(float(own[mask].sum()))


def test_a_loss_is_of_memory_as_its_condition_reads_it(
    tiny: LoadedModel, copying: LoadedModel
) -> None:
    memory = memory_of(copying, encode_files(copying, DEFINED))
    (window,) = loss_windows(copying, {"b.py": TEXT}, PROJECT, 1, 40, random.Random(1))
    attended = losses(copying, window, [], Condition(memory, copies=False))
    torch.testing.assert_close(attended, losses(tiny, window, [], Condition(memory)))
    copied = losses(copying, window, [], Condition(memory, attends=False))
    torch.testing.assert_close(copied, losses(copying, window, [], Condition()), atol=40, rtol=0)
    at = bytes(window.ids).index(b"tide_gauge") + 5
    assert float(copied[at]) < 0.1 < float(losses(copying, window, [], Condition())[at])


def test_foreign_memory_is_of_as_many_repositories_as_it_takes(tiny: LoadedModel) -> None:
    trees = [SourceTree(name, TREE.texts) for name in "abcd"]
    many = [prepare(tiny, tree, frozenset(), OPTIONS) for tree in trees]
    sizes = {
        wanted: [sum(file.n_tokens for file in files) for files in _foreign(many, wanted)]
        for wanted in (0, 1, many[0].n_tokens + 1, 10**9)
    }
    assert [sum(sizes[0]), len(sizes[1]), len(sizes[many[0].n_tokens + 1])] == [0, 1, 2]
    assert sizes[10**9] == [site.n_tokens for site in many]


def test_a_context_is_no_part_of_the_loss(tiny: LoadedModel) -> None:
    (window,) = loss_windows(tiny, {"b.py": TEXT}, PROJECT, 1, 40, random.Random(1))
    condition = Condition(None, lambda path, names, room: [65] * min(room, 7))
    row = window_row(tiny, "r", window, "composed", condition, 30)
    assert row.tokens == 40
    assert row.prompt_tokens == len(window.head) + 40 + 7
    assert row.loss != window_row(tiny, "r", window, "local", Condition(), 30).loss


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


BODIES = {
    path: "".join(
        f"def {path[0]}_{number:03}():\n    return 'n{number:03}'\n" for number in range(200)
    )
    for path in ("a.py", "b.py", "c.py")
}
LONG_TREE = SourceTree("long", BODIES)
AFTER = EvalOptions(
    files=1,
    lines=3,
    windows=2,
    window_tokens=48,
    memory_tokens=900,
    prompt_tokens=0,
    conditions=("local", "own", "after-memory", "after-prompt"),
)


def test_the_text_after_a_line_has_nothing_of_it() -> None:
    text = "first = 1\n    second = 2\nthird = 3"
    second, third = text.index("second"), text.index("third")
    assert after_line(text, second) == after_line(text, second + 4) == "\nthird = 3"
    assert after_line(text, third) == ""
    assert after_line(text, 0) == text[len("first = 1") :]


class Views:
    """Notes the memory of every completed line."""

    def __init__(self) -> None:
        self.memories: list[RepositoryMemory] = []

    def __call__(self, memory: RepositoryMemory, local: None) -> CompletionMemory:
        self.memories.append(memory)
        return CompletionMemory(memory, local)


@pytest.mark.parametrize("header", [True, False])
def test_the_line_asked_for_is_not_in_memory(
    infilling: LoadedModel, monkeypatch: pytest.MonkeyPatch, header: bool
) -> None:
    """What follows it is, up to a bound, behind the header that the other files have.

    Every line of these files is there once.
    """
    views = Views()
    monkeypatch.setattr(arms_module, "CompletionMemory", views)
    options = replace(AFTER, windows=0, encoding=Encoding(header=header))
    results = evaluate(infilling, [LONG_TREE], options, lambda _: None)
    (site,) = results.sites
    ((path, text),) = site.held_out.items()
    once = {(row.line, row.condition): row for row in results.lines if row.condition != "local"}
    assert len(once) == len(views.memories) >= 6
    encoder = SegmentEncoder(
        infilling.model, infilling.tokenizer, infilling.fingerprint, infilling.limits
    )
    bounded: set[bool] = set()
    for row, memory in zip(once.values(), views.memories, strict=True):
        remembered = {name: file.text for name, file in memory.files.items()}
        after = remembered.pop(path, "")
        assert remembered == site.remembered
        assert row.wanted not in after
        assert memory.rows.n_tokens == site.n_tokens + len(after)
        assert bool(after) == (row.condition == "after-memory")
        if row.condition == "after-memory":
            following = "\n" + "\n".join(text.split("\n")[row.line :])
            assert following.startswith(after)
            assert after == following or MAX_AFTER_TOKENS - 40 < len(after) <= MAX_AFTER_TOKENS
            bounded.add(after != following)
            head = path_header(path) if header else "\n"
            assert [segment.id for segment in memory.files[path].segments] == [
                encoder.identity(head, after[piece.start : piece.end])
                for piece in encoder.cut(after)
            ]
    assert bounded == {True, False}


def test_windows_are_shown_what_follows_them(
    infilling: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered: list[dict[str, str]] = []

    def note(loaded: LoadedModel, files: list[EncodedFile], *others: object) -> RepositoryMemory:
        remembered.append({file.path: file.text for file in files})
        return memory_of(loaded, files)

    monkeypatch.setattr(repository, "memory_of", note)
    results = evaluate(infilling, [LONG_TREE], replace(AFTER, lines=0), lambda _: None)
    ((path, text),) = results.sites[0].held_out.items()
    rows = {
        condition: [row for row in results.windows if row.condition == condition]
        for condition in AFTER.conditions
    }
    afters = [texts[path] for texts in remembered if path in texts]
    assert len(afters) == len(rows["after-memory"]) == 2
    for number, after in enumerate(afters):
        local, own, in_memory, in_prompt = (
            rows[condition][number] for condition in AFTER.conditions
        )
        begin = text.index(after)
        assert begin == local.start + 48
        assert 0 < len(after) <= MAX_AFTER_TOKENS
        shown = in_prompt.prompt_tokens - local.prompt_tokens - 2
        assert 60 < shown <= TUNED_SUFFIX_TOKENS
        assert own.prompt_tokens == in_memory.prompt_tokens == local.prompt_tokens
        assert {row.tokens for row in (local, own, in_memory, in_prompt)} == {48}
        assert len({row.loss for row in (local, own, in_memory, in_prompt)}) == 4


def test_a_window_in_the_prompt_is_as_a_row_of_training(infilling: LoadedModel) -> None:
    """Begin, mark, the lines after the window, mark, header, window."""
    (window,) = loss_windows(infilling, {"b.py": TEXT}, PROJECT, 1, 40, random.Random(1))
    marks = InfillMarks((0xFE,), (0xFF,))
    row = window_row(infilling, "r", window, "after-prompt", Condition(marks=marks), 0)
    assert window.after
    head = marks.head([256], [*window.after.encode()], [*b"# b.py\n"])
    by_hand = token_losses(infilling, head + window.ids, len(head), None)
    assert row.loss == pytest.approx(float(by_hand.sum()))
    last = replace(window, after="")
    plain = window_row(infilling, "r", last, "after-prompt", Condition(marks=marks), 0)
    assert plain.prompt_tokens == len(window.head) + 40


def test_a_window_with_the_text_after_it_fits(infilling: LoadedModel) -> None:
    """Where the window leaves no room, less of that text is shown, or none."""
    size = infilling.model.config.window
    for n_free, n_shown in ((50, 48), (2, 0), (0, 0)):
        n_window = size - len("# b.py\n") - 1 - n_free
        window = LossWindow(
            "b.py", 0, [256, *b"# b.py\n"], [65] * n_window, [False] * n_window, "z" * 99
        )
        condition = Condition(marks=InfillMarks((0xFE,), (0xFF,)))
        row = window_row(infilling, "r", window, "after-prompt", condition, 0)
        assert row.prompt_tokens == size - n_free + (n_shown + 2 if n_shown else 0)


def test_a_model_without_marks_is_refused(tiny: LoadedModel) -> None:
    with pytest.raises(ConfigError, match=r"infill_marks.*leave the condition out"):
        evaluate(tiny, [LONG_TREE], AFTER, lambda _: None)
    options = replace(AFTER, conditions=("local", "own", "after-memory"), lines=0)
    assert evaluate(tiny, [LONG_TREE], options, lambda _: None).windows
