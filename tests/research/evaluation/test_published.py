"""The evaluations of the original: one long input through memory, and what was published beside."""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.random_weights import write_random
from longllama_code.commands import published as command
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel, load
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.lengths.context_perplexity import context_perplexity
from longllama_code.research.evaluation.lengths.long_input import (
    last_losses,
    last_losses_locally,
    write_after,
)
from longllama_code.research.evaluation.lengths.options import ContextOptions, OriginalOptions
from longllama_code.research.evaluation.lengths.original_passkey import (
    original_passkey,
    prompt_of,
)
from longllama_code.research.evaluation.published import results as published_results
from longllama_code.research.evaluation.published.harness import (
    HarnessOptions,
    HarnessResult,
    HarnessRow,
    rows_of,
    run_harness,
    transformers_tokenizer,
)
from longllama_code.research.evaluation.published.report import (
    write_harness,
    write_passkey,
    write_perplexity,
)

TEXTS = {f"part{n}.py": f"def part_{n}(x):\n    return x * {n} + 1\n" * 30 for n in range(8)}
TREE = SourceTree("parts", TEXTS)
SENTENCES = (
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
)


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load("tiny")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A LongLLaMA-3B with small sizes: a window of 128 tokens, memory in all heads."""
    folder = tmp_path_factory.mktemp("published") / "3b"
    write_random(FAMILY["3b"], folder, scale="small")
    return load(str(folder))


def test_the_prompt_is_that_of_the_original() -> None:
    before, after = (SENTENCES + " ") * 2, SENTENCES + " The grass"
    n_chars = len(before) + len(after)
    assert prompt_of(n_chars, len(before) / n_chars, "4711").split("\n") == [
        "There is an important info hidden inside a lot of irrelevant text. Find it and memorize "
        "them. I will quiz you about the important information there.",
        before,
        "The pass key is 4711. Remember it. 4711 is the pass key.",
        after,
        "What is the pass key? The pass key is",
    ]


def test_a_long_input_is_read_as_by_generate(small: LoadedModel) -> None:
    ids = [1, *(torch.arange(300) * 7 % 600).tolist()]
    written, memory_bytes = write_after(small.model, ids, 40, 90)  # beyond the window of 128
    theirs = small.model.generate(
        torch.tensor([ids]),
        max_new_tokens=90,
        do_sample=False,
        eos_token_id=None,
        last_context_length=40,
    )
    assert written == theirs[0, len(ids) :].tolist()
    assert memory_bytes >= 261 * 3 * 2 * 64 * 2


def test_losses_after_memory_and_local_context(small: LoadedModel) -> None:
    ids = (torch.arange(100) * 11 % 600).tolist()
    batch = torch.tensor([ids])
    for n_last, found in (
        (40, last_losses(small.model, ids, 40, 12)),
        (100, last_losses_locally(small.model, ids, 12)),
    ):
        with torch.inference_mode():
            logits = small.model(batch, last_context_length=n_last).logits
        wanted = cross_entropy(logits[0, -13:-1], batch[0, -12:], reduction="none")
        assert torch.allclose(found, wanted, atol=1e-5)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("longllama_code.research.evaluation.lengths.long_input.PIECE_TOKENS", 9)
        pieces = last_losses_locally(small.model, ids, 12)
    assert torch.allclose(pieces, wanted, atol=1e-5)


def test_passkeys_are_asked_at_every_length(tiny: LoadedModel, tmp_path: Path) -> None:
    options = OriginalOptions(lengths=(700, 1_500), trials=2, last_context=300)
    result = original_passkey(tiny, options)
    assert [(t.length, t.n_tokens <= t.length < t.n_tokens + 60) for t in result.trials] == [
        (700, True),
        (700, True),
        (1_500, True),
        (1_500, True),
    ]
    first, second = result.of(700), result.of(1_500)
    assert [(t.answer, t.place) for t in first] == [(t.answer, t.place) for t in second]
    assert second[0].memory_bytes > first[0].memory_bytes > 0
    cheated = replace(result, trials=[replace(t, given=f" {t.answer}.") for t in result.trials])
    data, text = write_passkey(tiny, cheated, tmp_path)
    written = json.loads(data.read_text())
    assert [cell["accuracy"] for cell in written["cells"]] == [1.0, 1.0]
    assert written["published"]["LongLLaMA-3B"] == {"100000": 0.945, "256000": 0.73}
    assert "| 700 | 100% of 2 | – |" in text.read_text()
    assert "| 256,000 | – | 73.0% |" in text.read_text()


def test_a_length_below_the_question_is_refused(tiny: LoadedModel) -> None:
    with pytest.raises(ConfigError, match="has 100, but the question alone has"):
        original_passkey(tiny, OriginalOptions(lengths=(100,)))


def test_perplexity_by_context(small: LoadedModel, tmp_path: Path) -> None:
    options = ContextOptions(lengths=(64, 128, 256), documents=2, scored=20, last_context=48)
    result = context_perplexity(small, [TREE, SourceTree("few", {"a.py": "x = 1\n"})], options)
    assert result.scored == 20
    assert set(result.too_small) == {"few"}
    assert len(result.losses("memory", 64)) == 2
    assert not result.losses("local", 256)  # the window has 128 tokens
    ids = small.tokenizer.encode("\n\n".join(TEXTS[path] for path in sorted(TEXTS)))
    context = [small.tokenizer.bos_id, *ids[256 - 127 : 256]]
    wanted = float(last_losses(small.model, context, 48, 20).mean())
    assert result.losses("memory", 128)["parts 1"] == pytest.approx(wanted)
    both = list(result.losses("memory", 256).values())
    assert result.perplexity("memory", 256) == pytest.approx(math.exp(sum(both) / 2))
    data, text = write_perplexity(small, result, tmp_path)
    curve = json.loads(data.read_text())["curve"]
    assert [(point["reading"], point["length"]) for point in curve] == [
        ("memory", 64),
        ("memory", 128),
        ("memory", 256),
        ("local", 64),
        ("local", 128),
    ]
    assert curve[0]["change"] == 0.0
    assert "| FoT, 184M | 65,536 | 5.32 | 4.44 | 6.81 | 22.65 |" in text.read_text()


def test_a_model_without_memory_has_its_window_alone(small: LoadedModel) -> None:
    bare = load(small.name)
    bare.model.config.mem_layers = []
    result = context_perplexity(
        bare, [TREE], ContextOptions(lengths=(64, 256), scored=20, last_context=48)
    )
    assert {(row.reading, row.length) for row in result.rows} == {("local", 64)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ContextOptions(lengths=(64, 10**6)),
            r"no source tree has 1,000,000 tokens \(parts: \d,\d+\)",
        ),
        (ContextOptions(lengths=(16,), scored=20, last_context=48), "must be room for context"),
    ],
)
def test_contexts_that_cannot_be_measured(
    small: LoadedModel, options: ContextOptions, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        context_perplexity(small, [TREE], options)


RESULTS = {
    "arc_easy": {
        "alias": "arc_easy",
        "acc,none": 0.5,
        "acc_stderr,none": 0.1,
        "acc_norm,none": 0.25,
        "acc_norm_stderr,none": "N/A",
    },
    "own": {"alias": "own", "exact_match,get-answer": 1.0},
}


def test_figures_of_the_harness(tiny: LoadedModel, tmp_path: Path) -> None:
    rows = list(rows_of(RESULTS))
    assert rows == [
        HarnessRow("arc_easy", "acc", "none", 0.5, 0.1),
        HarnessRow("arc_easy", "acc_norm", "none", 0.25, None),
        HarnessRow("own", "exact_match", "get-answer", 1.0, None),
    ]
    result = HarnessResult(HarnessOptions(("arc_easy", "own")), "0.0", rows)
    data, text = write_harness(tiny, result, tmp_path)
    assert (
        "| arc_easy | acc | 0.500 ± 0.100 | 0.69 | 0.68 | 0.68 | 0.68 | 0.70 |" in text.read_text()
    )
    assert "| own | exact_match (get-answer) | 1.000 | – |" in text.read_text()
    assert json.loads(data.read_text())["published"]["models"][1] == "3b"


def test_every_published_row_is_whole() -> None:
    models = published_results.HARNESS_MODELS
    assert set(models) <= set(FAMILY)
    assert all(len(row) == len(models) for row in published_results.HARNESS.values())
    for found in published_results.PERPLEXITY.values():
        assert all(len(row) == len(published_results.CORPORA) for row in found.values())


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_the_tokenizer_of_transformers_has_our_ids(
    name: str, request: pytest.FixtureRequest
) -> None:
    loaded: LoadedModel = request.getfixturevalue(name)
    theirs, ours = transformers_tokenizer(loaded), loaded.tokenizer
    for text in ("def f(x):\n    return x  # ä€𝄞\n", "The pass key is 4711."):
        ids = theirs.encode(text)
        assert ids == [ours.bos_id, *ours.encode_first(text)]
        assert theirs.decode(ids, skip_special_tokens=True).strip() == text.strip()
    assert theirs.eos_token_id == ours.eos_id


QUESTIONS = [
    {"question": "1 + 1 =", "choices": ["2", "3"], "answer": 0},
    {"question": "2 + 2 =", "choices": ["5", "4"], "answer": 1},
    {"question": "x " * 400, "choices": ["x", "y"], "answer": 0},
]
TASKS = {
    "sums": {
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}],
    },
    "written": {
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{choices[answer]}}",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4},
        "metric_list": [{"metric": "exact_match"}],
    },
}


@pytest.mark.parametrize("name", ["tiny", "small", "small:int8"])
@pytest.mark.filterwarnings("ignore")
def test_the_harness_runs_tasks_of_ones_own(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval")
    loaded: LoadedModel = request.getfixturevalue(name.partition(":")[0])
    loaded = load(f"{loaded.name}:int8") if name.endswith(":int8") else loaded
    (tmp_path / "data.json").write_text("\n".join(map(json.dumps, QUESTIONS)))
    for task, fields in TASKS.items():
        files = {"data_files": {"test": str(tmp_path / "data.json")}}
        shared = {"task": task, "dataset_path": "json", "test_split": "test"}
        content = {**shared, "dataset_kwargs": files, **fields}
        (tmp_path / f"{task}.yaml").write_text(json.dumps(content))
    options = HarnessOptions(("sums", "written"), max_length=2_000, include_path=tmp_path)
    rows = run_harness(loaded, options).rows
    assert {(row.task, row.metric) for row in rows} == {("sums", "acc"), ("written", "exact_match")}
    right = 0
    for question in QUESTIONS:
        losses: list[float] = []
        head = [loaded.tokenizer.bos_id, *loaded.tokenizer.encode_first(question["question"])]
        for choice in question["choices"]:
            ids = [*head, *loaded.tokenizer.encode(f" {choice}")]
            scored = last_losses(
                loaded.model, ids, loaded.model.config.last_context_length, len(ids) - len(head)
            )
            losses.append(float(scored.sum()))
        right += losses.index(min(losses)) == question["answer"]
    (accuracy,) = (row.value for row in rows if row.metric == "acc")
    assert accuracy == pytest.approx(right / len(QUESTIONS))


def test_a_task_that_is_not_there(tiny: LoadedModel) -> None:
    pytest.importorskip("lm_eval")
    with pytest.raises(ConfigError, match="knows no task nonsense"):
        run_harness(tiny, HarnessOptions(("nonsense",)))


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    return parser.parse_args(["published", *arguments])


def test_the_commands_run_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for path, text in TEXTS.items():
        (tmp_path / "tree" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "tree" / path).write_text(text)
    places = ["--model", "tiny", "--output", str(tmp_path / "out")]
    passkey = parse("passkey", *places, "--lengths", "700", "--trials", "1")
    tree = ["--repo", str(tmp_path / "tree"), "--scored", "100"]
    perplexity = parse("perplexity", *places, *tree, "--lengths", "512", "2048")
    for options in (passkey, perplexity):
        assert options.run(options) == 0
    printed = capsys.readouterr().out
    for name in ("passkey", "perplexity"):
        for suffix in ("json", "md"):
            path = tmp_path / "out" / f"published-{name}.{suffix}"
            assert str(path) in printed
            assert path.stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["passkey", "--trials", "0"], "--trials is 0"),
        (["passkey", "--lengths", "0"], "--lengths has 0"),
        (["perplexity", "--last-context", "0"], "--last-context is 0"),
        (["perplexity", "--scored", "0"], "--scored is 0"),
        (["perplexity", "--model", "tiny"], "none was named"),
    ],
)
def test_the_commands_refuse_what_cannot_work(arguments: list[str], message: str) -> None:
    options = parse(*arguments)
    with pytest.raises(ConfigError, match=message):
        options.run(options)


def test_the_harness_is_named_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    options = parse("lm-eval", "--model", "tiny", "--tasks", "arc_easy")
    with pytest.raises(ConfigError, match=r"pip install '\.\[lm-eval\]'"):
        options.run(options)
