"""Pass keys: what is hidden is unique, stands where it should, and is scored as it should be."""

import argparse
import json
import random
import re
import string
from dataclasses import replace

import pytest

from longllama_code.commands import passkey as command
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.lengths.answer_loss import answer_loss
from longllama_code.research.evaluation.lengths.growing import GrowingMemory
from longllama_code.research.evaluation.lengths.needles import (
    FILLER_LINE,
    KINDS,
    filler_notes,
    is_right,
    leading_share,
    needle,
    neighbour,
    place,
)
from longllama_code.research.evaluation.lengths.options import PasskeyOptions
from longllama_code.research.evaluation.lengths.passkey import (
    code_filler,
    complete_greedily,
    passkey,
)
from longllama_code.research.evaluation.lengths.passkey_report import (
    as_json,
    as_markdown,
    write_report,
)
from longllama_code.research.evaluation.losses import token_losses, window_ids
from longllama_code.research.evaluation.memories import encode_files, memory_of

OPTIONS = PasskeyOptions(lengths=(1_000, 3_000), depths=(0.0, 0.5, 1.0), trials=2, seed=4)


def module(number: int) -> str:
    return "".join(
        f"def step_{number}_{letter}(value):\n    return value + {number}\n\n\n"
        for letter in string.ascii_lowercase[:12]
    )


TREE = SourceTree("harbour", {f"harbour/part_{n:02}.py": module(n) for n in range(12)})


def reads_memory(_, memory):
    """Answers as one would who finds everything that is in memory, and knows nothing else."""

    def answer(request) -> str:
        remembered = [file.text for file in memory.files.values()]
        texts = remembered if request.uses_memory else [request.prefix]
        named = re.search(r"assert (\w+) == $", request.prefix)
        pattern = rf"{named[1]} = (\d+)" if named else r"The pass key is (\d+)\."
        found = [number for text in texts for number in re.findall(pattern, text)]
        assert len(found) <= 1
        return f" {found[0]}\n" if found else " 7"

    return answer


def says_nothing(_, __):
    return lambda request: ""


@pytest.mark.parametrize("kind", KINDS)
def test_needles_do_not_occur_in_the_filler(kind) -> None:
    crowded = " ".join(str(number) for number in range(10_000, 99_000))
    filler = [crowded, *TREE.texts.values()]
    drawn = [needle(kind, random.Random(seed), TREE.texts, 0.5, filler) for seed in range(20)]
    for hidden in drawn:
        assert not any(hidden.answer in text for text in filler)
        assert hidden.answer in hidden.text
        assert hidden.answer not in hidden.prefix
        assert hidden.path not in TREE.texts
        assert hidden.question_path not in (*TREE.texts, hidden.path)
        for name in re.findall(r"^([A-Z_]+) = ", hidden.text, re.MULTILINE):
            assert not any(name in text for text in filler)
    assert len({hidden.answer for hidden in drawn}) > 10


def test_a_filler_that_holds_every_number_is_refused() -> None:
    full = " ".join(str(number) for number in range(10_000, 100_000))
    with pytest.raises(ValueError, match="nearly every number"):
        needle("passkey", random.Random(0), [], 0.5, [full])


def test_the_constant_stands_among_decoys_and_is_asked_for_by_name() -> None:
    hidden = needle("constant", random.Random(1), TREE.texts, 0.0, [])
    defined = dict(re.findall(r"^([A-Z_]+) = (\d+)$", hidden.text, re.MULTILINE))
    assert len(defined) == 4
    assert len(set(defined.values())) == 4
    name = re.search(r"assert (\w+) == $", hidden.prefix)
    assert name is not None
    assert defined[name[1]] == hidden.answer
    assert f"from harbour.part_00_settings import {name[1]}\n" in hidden.prefix


def test_the_constant_is_python_whatever_stands_around_it() -> None:
    hidden = needle("constant", random.Random(1), ["web/part.ts"], 0.0, [])
    assert hidden.path == "web/part_settings.py"
    assert hidden.prefix.startswith("from web.part_settings import ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_file_stands_at_its_depth(kind, depth) -> None:
    paths = list(TREE.texts) if kind == "constant" else list(filler_notes(40, 1))
    hidden = needle(kind, random.Random(2), paths, depth, [])
    random.Random(3).shuffle(paths)
    assert place([*paths, hidden.path], hidden.path) == pytest.approx(depth, abs=1.5 / len(paths))


def test_neighbours_leave_out_packages_own_files() -> None:
    assert neighbour(["a/__init__.py", "a/b.py"], 0.0) == "a/b.py"
    assert neighbour(["a/__init__.py"], 1.0) == "a/__init__.py"
    assert neighbour([], 0.5) is None


@pytest.mark.parametrize(
    ("given", "right", "leading"),
    [
        ("12345", True, 1.0),
        (" 12345. Remember it.", True, 1.0),
        ("123456", False, 1.0),
        ("12 345", False, 0.4),
        ("x12345", False, 0.0),
        ("", False, 0.0),
    ],
)
def test_digits_must_be_equal(given, right, leading) -> None:
    assert is_right(given, "12345") is right
    assert leading_share(given, "12345") == leading


def test_whoever_reads_memory_is_right_everywhere_and_guesses_without_it(
    tiny: LoadedModel,
) -> None:
    result = passkey(tiny, [TREE], OPTIONS, make_answer=reads_memory)
    cells = [(k, n, d) for k in KINDS for n in OPTIONS.lengths for d in OPTIONS.depths]
    assert [result.accuracy(*cell) for cell in cells] == [1.0] * len(cells)
    assert len(result.trials) == OPTIONS.trials * len(cells)
    assert not any(trial.right_without for trial in result.trials)
    assert all(trial.right_shown for trial in result.trials)
    assert not result.unreached


def test_whoever_says_nothing_is_wrong_everywhere(tiny: LoadedModel) -> None:
    result = passkey(tiny, [TREE], OPTIONS, make_answer=says_nothing)
    assert not any(trial.right or trial.leading for trial in result.trials)


def test_memory_has_the_size_asked_for_and_one_needle(tiny: LoadedModel) -> None:
    result = passkey(tiny, [TREE], OPTIONS, make_answer=reads_memory)
    for trial in result.trials:
        assert trial.length - 2 * tiny.limits.max_tokens <= trial.memory_tokens
        assert trial.memory_tokens <= trial.length + 40
        if trial.length == 3_000:
            assert trial.place == pytest.approx(trial.depth, abs=0.4)


def test_sizes_beyond_the_filler_are_named_and_not_asked(tiny: LoadedModel) -> None:
    options = PasskeyOptions(lengths=(1_000, 900_000), depths=(0.5,), trials=1, kinds=("constant",))
    result = passkey(tiny, [TREE], options, make_answer=reads_memory)
    assert result.unreached == {"constant": [900_000]}
    assert result.accuracy("constant", 1_000, 0.5) == 1.0
    assert "| 0.5 | 100% | – |" in as_markdown("tiny", result)
    assert "too small: 900,000 tokens" in as_markdown("tiny", result)


def test_a_size_below_the_needles_own_is_refused(tiny: LoadedModel) -> None:
    options = PasskeyOptions(lengths=(10,), depths=(0.5,), trials=1, kinds=("passkey",))
    with pytest.raises(ConfigError, match="--lengths has 10"):
        passkey(tiny, [], options, make_answer=says_nothing)


def test_constants_need_code(tiny: LoadedModel) -> None:
    with pytest.raises(ConfigError, match="no code to hide"):
        passkey(tiny, [], OPTIONS)


def test_the_control_sees_no_memory(tiny: LoadedModel) -> None:
    hidden = needle("passkey", random.Random(5), [], 0.0, [])
    full = memory_of(tiny, encode_files(tiny, {hidden.path: hidden.text}))
    without = hidden.request(uses_memory=False)
    given = [complete_greedily(tiny, memory)(without) for memory in (full, memory_of(tiny))]
    assert given[0] == given[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_an_answer_is_that_of_its_digits(tiny: LoadedModel, kind) -> None:
    hidden = needle(kind, random.Random(6), [], 0.0, [])
    full = memory_of(tiny, encode_files(tiny, {hidden.path: hidden.text}))
    without = answer_loss(tiny, hidden, None)
    assert answer_loss(tiny, hidden, memory_of(tiny)) == without
    assert answer_loss(tiny, hidden, full) != without
    space = "" if kind == "constant" else " "
    ids, _ = window_ids(tiny, hidden.question_path, f"{hidden.prefix}{space}{hidden.answer}")
    n_answer = len(space + hidden.answer)
    losses = token_losses(tiny, ids, 0, None)
    assert without == pytest.approx(float(losses[-n_answer:].sum()), rel=1e-5)


def test_the_same_seed_asks_the_same_and_gets_the_same(tiny: LoadedModel) -> None:
    options = PasskeyOptions(lengths=(1_500,), depths=(0.0, 1.0), trials=1, seed=9)
    once, again = (passkey(tiny, [TREE], options) for _ in range(2))
    assert once == again
    other = passkey(tiny, [TREE], replace(options, seed=10))
    assert {t.answer for t in once.trials}.isdisjoint(t.answer for t in other.trials)


def test_sizes_are_asked_the_same_numbers(tiny: LoadedModel) -> None:
    result = passkey(tiny, [TREE], OPTIONS, make_answer=says_nothing)
    asked = [[t.answer for t in result.trials if t.length == length] for length in OPTIONS.lengths]
    assert asked[0] == asked[1]


def test_growing_adds_whole_segments_and_equals_a_memory_made_at_once(tiny: LoadedModel) -> None:
    files = encode_files(tiny, TREE.texts)
    growing = GrowingMemory(tiny, files)
    seen: list[int] = []
    for size in (0, 700, 2_000, 3_000):
        assert growing.grow(size)
        assert growing.n_tokens <= size
        seen.append(growing.n_tokens)
    assert seen == sorted(seen)
    assert not growing.grow(10**9)
    assert growing.memory.state == memory_of(tiny, files).state
    assert growing.n_tokens == memory_of(tiny, files).rows.n_tokens


def test_trees_with_equal_paths_stay_apart() -> None:
    twin = SourceTree("twin", TREE.texts)
    assert len(code_filler([TREE, twin], 0)) == 2 * len(TREE.texts)
    assert set(code_filler([TREE], 0)) == set(TREE.texts)
    assert list(code_filler([TREE], 0)) != list(code_filler([TREE], 1))


def test_notes_of_the_filler_are_one_segment_each(tiny: LoadedModel) -> None:
    options = PasskeyOptions(lengths=(6_000,), depths=(0.5,), trials=1, kinds=("passkey",))
    result = passkey(tiny, [], options)
    assert result.trials[0].memory_tokens > 6_000 - 2 * tiny.limits.max_tokens
    assert set(filler_notes(3, 2).values()) == {FILLER_LINE * 2}


def test_the_report_says_what_was_found(tiny: LoadedModel, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    result = passkey(tiny, [TREE], OPTIONS, make_answer=reads_memory)
    written = write_report(tiny, result, tmp_path / "new")
    assert {path.name for path in written} == {
        "passkey.json",
        "passkey.md",
        *(f"passkey-{kind}.{suffix}" for kind in KINDS for suffix in ("png", "svg")),
    }
    data = json.loads((tmp_path / "new/passkey.json").read_text("utf-8"))
    assert data == json.loads(json.dumps(as_json(tiny, result)))
    assert data["summary"]["constant"]["accuracy"] == 1.0
    assert data["summary"]["passkey"]["accuracy_without_memory"] == 0.0
    assert (
        "12 trials: 100% right with memory, 0% without (guessed), 100% with the text"
        in as_markdown("tiny", result)
    )
    assert "Memory is a set" in data["note"]


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    return parser.parse_args(["passkey", *arguments])


def test_the_command_runs_from_end_to_end(tmp_path, capsys) -> None:
    pytest.importorskip("matplotlib")
    for path, text in TREE.texts.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text, "utf-8")
    places = ["--repo", str(tmp_path / "tree"), "--output", str(tmp_path / "out")]
    options = parse("--model", "tiny", *places, "--lengths", "1500", "--trials", "1")
    assert options.run(options) == 0
    assert "tokens" in capsys.readouterr().err
    for name in ("passkey.json", "passkey.md", "passkey-constant.png", "passkey-passkey.svg"):
        assert (tmp_path / "out" / name).stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no code to hide"),
        (["--kind", "passkey", "--trials", "0"], "--trials is 0"),
        (["--kind", "passkey", "--lengths", "0"], "--lengths has 0"),
        (["--kind", "passkey", "--depths", "1.5"], r"--depths has 1\.5"),
        (["--kind", "passkey", "--packages", "-1"], "--packages is -1"),
        (["--repo", "/nowhere/at/all"], "is no folder"),
    ],
)
def test_the_command_refuses_what_cannot_work(arguments, message) -> None:
    options = parse("--model", "tiny", *arguments)
    with pytest.raises(ConfigError, match=message):
        options.run(options)
