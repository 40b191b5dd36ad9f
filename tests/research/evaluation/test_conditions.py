"""Contexts of each condition: the nearest files last, within a budget, as the server completes."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.definitions.layout import path_distance
from longllama_code.generation.completer import Completer
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import TUNED_SUFFIX_TOKENS, InfillMarks, first_lines
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.protocol import CompletionRequest
from longllama_code.research.evaluation.completion import conditions as arms_module
from longllama_code.research.evaluation.completion.conditions import (
    AFTER_CONDITIONS,
    CONDITIONS,
    MARKED_CONDITIONS,
    MAX_LINE_TOKENS,
    Condition,
    LineCompleter,
    make_conditions,
    nearest_files,
)
from longllama_code.research.evaluation.completion.lines import project_of
from longllama_code.research.evaluation.memories import encode_files, memory_of
from longllama_code.tokenizers.tokenizer import ByteTokenizer

TEXTS = {
    "ui/far.py": "far = 1\n",
    "core/deep/near.py": "near = 1",
    "core/deep/also.py": "def also():\n    return near\n",
    "core/mid.py": "mid = 1\n",
}
PATH = "core/deep/here.py"
TOKENIZER = ByteTokenizer()
PREFIX = "import near\n\n\ndef here():\n    "
AFTER = "\n\nclass After:\n    field = mid\n" + "# more of it\n" * 9
MARKS = InfillMarks((0xFE,), (0xFF,))


def composed(max_tokens: int) -> str:
    return TOKENIZER.decode(nearest_files(TOKENIZER, TEXTS, PATH, max_tokens))


def test_the_nearest_file_stands_last() -> None:
    assert composed(9999) == (
        "# ui/far.py\nfar = 1\n"
        "# core/mid.py\nmid = 1\n"
        "# core/deep/near.py\nnear = 1\n"
        "# core/deep/also.py\ndef also():\n    return near\n"
    )


@given(st.integers(0, 200))
def test_what_is_too_much_is_cropped_from_the_left(max_tokens: int) -> None:
    whole = composed(9999)
    assert composed(max_tokens) == whole[max(0, len(whole) - max_tokens) :]


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map("/".join)


@given(PATHS, PATHS, PATHS)
def test_distance_is_one(one: str, other: str, third: str) -> None:
    assert path_distance(one, one) == 0
    assert path_distance(one, other) == path_distance(other, one) >= 0
    assert path_distance(one, third) <= path_distance(one, other) + path_distance(other, third)


def test_the_oracle_shows_definitions_alone() -> None:
    conditions = make_conditions(CONDITIONS, TOKENIZER, {}, TEXTS, project_of(TEXTS))
    shown = conditions["oracle"].context_ids(PATH, ("mid", "also", "unknown"), 9999)
    assert TOKENIZER.decode(shown) == (
        "# core/mid.py\nmid = 1\n# core/deep/also.py\ndef also():\n    return near\n"
    )
    assert conditions["oracle"].context_ids(PATH, (), 9999) == []
    assert conditions["local"].context_ids(PATH, ("mid",), 9999) == []


@pytest.fixture(scope="module")
def memory(tiny: LoadedModel) -> RepositoryMemory:
    return memory_of(tiny, encode_files(tiny, TEXTS))


@pytest.mark.parametrize("prefix", [PREFIX, "", "y = 2\n" * 60 + "for é in y:\n\t"])
@pytest.mark.parametrize("remembers", [False, True])
def test_lines_are_those_of_the_server(
    tiny: LoadedModel, memory: RepositoryMemory, prefix: str, remembers: bool
) -> None:
    request = CompletionRequest(
        PATH,
        prefix,
        "",
        MAX_LINE_TOKENS,
        multiline=False,
        timeout_ms=600_000,
        uses_memory=remembers,
    )
    wanted = Completer(CompletionModel(tiny.model, tiny.tokenizer), memory).complete(
        request, lambda: False
    )
    condition = Condition(memory if remembers else None)
    found = LineCompleter(tiny, 0).complete(condition, PATH, prefix, ())
    assert found.text == wanted.text
    assert found.n_tokens == wanted.timings.prompt_tokens + wanted.timings.generated_tokens


def test_a_context_comes_before_the_header_and_respects_its_budget(tiny: LoadedModel) -> None:
    conditions = make_conditions(CONDITIONS, tiny.tokenizer, {}, TEXTS, project_of(TEXTS))
    costs = {
        budget: LineCompleter(tiny, budget)
        .complete(conditions["composed"], PATH, PREFIX, ())
        .n_tokens
        for budget in (0, 50)
    }
    local = LineCompleter(tiny, 50).complete(conditions["local"], PATH, PREFIX, ()).n_tokens
    assert costs[0] == local
    assert local < costs[50] <= local + 50 + MAX_LINE_TOKENS


def test_a_context_never_leaves_the_window(tiny: LoadedModel) -> None:
    window = tiny.model.config.window
    rooms: list[int] = []

    def note(path: str, names: object, max_tokens: int) -> list[int]:
        rooms.append(max_tokens)
        return []

    n_local = (
        LineCompleter(tiny, 10 * window).complete(Condition(None, note), PATH, PREFIX, ()).n_tokens
    )
    assert window - 2 * MAX_LINE_TOKENS - 100 < rooms[0] < window - n_local


@pytest.mark.parametrize("prefix", [PREFIX, "", "y = 2\n" * 60 + "for é in y:\n\t"])
@pytest.mark.parametrize("after", [AFTER, "", "\n" + "z" * 5000])
def test_lines_that_begin_with_the_text_after_them_are_those_of_the_server(
    infilling: LoadedModel, memory: RepositoryMemory, prefix: str, after: str
) -> None:
    request = CompletionRequest(
        PATH, prefix, after, MAX_LINE_TOKENS, multiline=False, timeout_ms=600_000
    )
    wanted = Completer(CompletionModel(infilling.model, infilling.tokenizer), memory).complete(
        request, lambda: False
    )
    completer = LineCompleter(infilling, 0)
    found = completer.complete(Condition(memory, marks=MARKS), PATH, prefix, (), after)
    assert found.text == wanted.text
    assert found.n_tokens == wanted.timings.prompt_tokens + wanted.timings.generated_tokens


def test_a_condition_is_shown_the_text_after_the_line_in_one_way(
    tiny: LoadedModel, memory: RepositoryMemory
) -> None:
    """In memory, in the prompt, or not at all."""
    asked: list[tuple[str, str]] = []

    def remember(path: str, after: str) -> RepositoryMemory:
        asked.append((path, after))
        return memory

    memories = {"own": memory, "after-prompt": memory}
    assert {"after-prompt", "after-only"} == set(MARKED_CONDITIONS)
    conditions = make_conditions(
        CONDITIONS,
        tiny.tokenizer,
        memories,
        TEXTS,
        project_of(TEXTS),
        remember=remember,
        marks=MARKS,
    )
    assert list(conditions) == list(CONDITIONS)
    completer = LineCompleter(tiny, 0)
    tokens: dict[str, int] = {}
    for name in ("local", "own", *AFTER_CONDITIONS):
        answer = completer.complete(conditions[name], PATH, PREFIX, (), AFTER)
        tokens[name] = answer.n_tokens
        without = completer.complete(conditions[name], PATH, PREFIX, ()).n_tokens
        shown = len(first_lines(AFTER, TOKENIZER, TUNED_SUFFIX_TOKENS)[0]) + 2
        difference = answer.n_tokens - without
        if name in MARKED_CONDITIONS:
            assert shown - MAX_LINE_TOKENS < difference < shown + MAX_LINE_TOKENS
        else:
            assert difference == 0
    assert asked == [(PATH, AFTER), (PATH, "")]
    assert tokens["after-memory"] == tokens["own"]
    assert conditions["after-only"].memory is None


def test_memory_is_read_by_attention_by_copying_or_by_both(
    tiny: LoadedModel, copying: LoadedModel
) -> None:
    memory = memory_of(copying, encode_files(copying, {"a.py": "LANTERN_LIMIT = 7\n" * 3}))
    memories = dict.fromkeys(("own", "attended", "copied"), memory)
    # The conditions are the same whatever the model does with them.
    conditions = make_conditions(CONDITIONS, tiny.tokenizer, memories, TEXTS, project_of(TEXTS))

    def text(loaded: LoadedModel, name: str) -> str:
        return LineCompleter(loaded, 0).complete(conditions[name], "b.py", "x = LANT", ()).text

    assert text(copying, "own") == text(copying, "copied") == "ERN_LIMIT = 7"
    assert text(copying, "attended") == text(tiny, "own") != text(tiny, "local")
    assert text(copying, "local") == text(tiny, "local") == text(tiny, "copied")


def test_what_is_encoded_for_a_cursor_costs_no_time(
    tiny: LoadedModel, memory: RepositoryMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the server, where it was encoded before the cursor came."""
    clock = [0.0]

    def remember(path: str, after: str) -> RepositoryMemory:
        clock[0] += 100.0
        return memory

    monkeypatch.setattr(arms_module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    completer = LineCompleter(tiny, 0)
    answer = completer.complete(Condition(remember=remember), PATH, PREFIX, (), AFTER)
    assert (clock[0], answer.seconds) == (100.0, 0.0)
    own = completer.complete(Condition(memory), PATH, PREFIX, ())
    assert (answer.text, answer.n_tokens) == (own.text, own.n_tokens)
