"""Suggestions that llama.vscode keeps, and the prompts that it asks for ahead."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.systems.llama_vscode_cache import (
    Suggestions,
    prompt_after,
    prompt_after_line,
)
from lsp_server.benchmarks.systems.llama_vscode_prompt import (
    Prompt,
    Settings,
    cursor_at,
    prompt_at,
)

PROMPT = Prompt("a\n", "\nb\n", "x = ")
WORDS = st.text("abc(=", min_size=1, max_size=4)
LINES = st.lists(WORDS, min_size=1, max_size=5)


def typed(text: str) -> Prompt:
    return replace(PROMPT, prompt=PROMPT.prompt + text)


def test_the_rest_of_a_suggestion_that_is_typed_is_known():
    kept = Suggestions(4)
    kept.put(PROMPT, "call(y)\nz")
    assert kept.find(PROMPT) == "call(y)\nz"
    assert kept.find(typed("ca")) == "ll(y)\nz"
    assert kept.find(typed("cb")) is None
    assert kept.find(replace(typed("ca"), suffix=")\n")) is None


def test_the_longest_prompt_counts():
    kept = Suggestions(4)
    kept.put(PROMPT, "call(y)")
    kept.put(typed("ca"), "ller()")
    assert kept.find(typed("cal")) == "ler()"


def test_a_suggestion_that_was_typed_whole_leaves_nothing():
    kept = Suggestions(4)
    kept.put(PROMPT, "call(y)")
    assert kept.find(typed("call(y)")) == ""


def test_the_prompt_that_was_not_used_for_longest_goes():
    kept = Suggestions(2)
    first, second, third = (Prompt(name, "", "") for name in "123")
    kept.put(first, "1")
    kept.put(second, "2")
    assert kept.find(first) == "1"
    kept.put(third, "3")
    assert second not in kept
    assert (kept.find(first), kept.find(third)) == ("1", "3")


@given(st.lists(st.tuples(st.integers(0, 9), st.text("ab", max_size=3)), max_size=40))
def test_no_more_than_the_capacity_is_kept(puts: list[tuple[int, str]]):
    kept = Suggestions(5)
    for number, text in puts:
        kept.put(Prompt(str(number), "", ""), text)
        assert kept.find(Prompt(str(number), "", "")) == text
        assert len(kept) <= 5


@given(LINES, WORDS, LINES, st.lists(WORDS, max_size=5), st.integers(1, 6))
def test_the_prompt_after_acceptance_is_the_one_that_the_editor_will_send(
    above: list[str], start: str, suggestion: list[str], below: list[str], n_prefix: int
):
    settings = Settings(n_prefix=n_prefix)
    before, after = "\n".join([*above, start]), "\n".join(["", *below])
    accepted = before + "\n".join(suggestion)
    now = prompt_at(cursor_at(before + after, len(before)), settings)
    then = prompt_at(cursor_at(accepted + after, len(accepted)), settings)
    assert prompt_after(now, suggestion, n_prefix) == then


def test_after_the_first_line_the_rest_is_at_the_next_ones_start():
    later = prompt_after_line(PROMPT, ["f(", "  y)"])
    assert later == Prompt("a\nx = f(\n", "\nb\n", "")
