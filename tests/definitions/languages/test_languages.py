"""What holds for every language: nothing is raised, time is bounded, broken code is read."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.definitions.languages import MODULES, grammars, language_of, syntax
from longllama_code.definitions.languages.facts import FileFacts
from longllama_code.definitions.languages.grammars import is_too_deep
from tests.definitions.small_repository import named

READERS = sorted({place: suffix for suffix, place in MODULES.items()}.values())
"""One suffix for each language."""
WORDS = """
class Foo { } ( ) [ ] < > fn impl trait struct enum mod use crate :: * , ; . = => -> import from
"a" export default const let var function func type interface package return new this self static
# define include typedef namespace template extends implements private pub @ /* */ // ` ' é 🛟 x y
require module exports async await def 1
"""
PIECES = [*WORDS.split(), "\n"]
MAX_S = 15.0
"""Processor time; a megabyte takes two seconds of a slow core, what is quadratic takes hours."""
N_PIECES = 20_000
"""A tenth of a megabyte and more, for which what is quadratic takes minutes."""

BROKEN = {
    ".ts": "class A {\n  moor(x: number): string {\n    return this.\n\nexport function moor(a {\n",
    ".js": "class A {\n  moor(x) {\n    return this.\n\nexport function moor(a {\n",
    ".go": "package a\n\nfunc moor(a int) {\n\tif x. {\n\ntype A struct {\n\tmoor int\n",
    ".rs": "pub fn moor(a: u32) -> u32 {\n    let x = foo.\n\npub struct A { moor: u32\n",
    ".java": "class A {\n  int moor(int x) {\n    return this.\n  }\n  int moor;\n",
    ".c": "int moor(int x) {\n  foo->\n}\n\nstruct moor {\n  int x;\n",
    ".cc": "class A {\n public:\n  int moor(int x);\n  void f() { this-> }\n",
}


@pytest.mark.parametrize("suffix", MODULES)
def test_each_suffix_has_a_language(suffix: str) -> None:
    assert language_of(f"folder/file{suffix}") is not None
    assert language_of(f"folder/file{suffix}0") is None


def facts_of(suffix: str, text: str) -> FileFacts:
    language = language_of(f"a{suffix}")
    assert language is not None
    return language.read(text)


@pytest.mark.parametrize("suffix", READERS)
@settings(max_examples=60, deadline=None)
@given(text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join)))
def test_any_text_is_read_and_lines_are_of_it(suffix: str, text: str) -> None:
    facts = facts_of(suffix, text)
    assert facts == facts_of(suffix, text)
    n_lines = text.count("\n") + 1
    for one in (*facts.definitions, *facts.bindings):
        assert one.name
        assert 1 <= one.first_line <= one.last_line <= n_lines


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize(
    "piece",
    [
        *("(", "[", "{", "<", "{}", "a.", "a::", "f(", "*", "/*", "`${", "!", "@a ", "a,", "'"),
        *("class A {", "fn f() {", "impl A {", "namespace a {", "struct a { ", "if (a) "),
        *("a ? b : ", "x => ", "#if A\n", "x = > ", "=|async ", "x =>\n", "-> ", "case a: "),
    ],
)
def test_hostile_texts_are_read_in_bounded_time(suffix: str, piece: str) -> None:
    start = time.process_time()
    facts_of(suffix, piece * N_PIECES)
    assert time.process_time() - start < MAX_S


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("piece", ["/* ", "class AB x\n"])
def test_what_never_ends_is_not_searched_for_its_end_again_and_again(
    suffix: str, piece: str
) -> None:
    start = time.process_time()
    facts_of(suffix, piece * 80_000)
    assert time.process_time() - start < MAX_S


@pytest.mark.parametrize("n_pieces", [3_000, 10_000])
@pytest.mark.parametrize(
    "piece", ["x => ", "x = > ", "=|async ", "var => *- ", "x =>\n", "= >\t\n"]
)
def test_assignments_nested_too_deeply_are_not_parsed(piece: str, n_pieces: int) -> None:
    """They would take gigabytes."""
    assert is_too_deep(piece.encode() * n_pieces)


@pytest.mark.parametrize(
    "line",
    [
        "NAME = 1\n",
        "export const NAME = value\r\n",
        "  NAME = 1, ",
        "a = b;",
        "x => { y = 1 } ",
        "f(x => x)\n",
        "// ==== name = value  \n",
        "if (a == b && c <= d != e >= f) ",
        "<p name='x'>\n",
    ],
)
def test_a_thousand_short_assignments_are_parsed(line: str) -> None:
    assert not is_too_deep(line.encode() * 1000)


@pytest.mark.parametrize("suffix", READERS)
def test_a_text_is_asked_once_how_deep_it_is(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is parsed by: two grammars, and once more with its open brackets closed."""
    asked: list[bytes] = []

    def asks(source: bytes) -> bool:
        asked.append(source)
        return is_too_deep(source)

    monkeypatch.setattr(grammars, "is_too_deep", asks)
    text = BROKEN.get(suffix, "def moor(:\n")
    facts_of(suffix, text)
    assert asked == [text.encode()]


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("text", ["(" * 300, "moor = {}; " * 100_000])
def test_a_text_that_is_too_deep_or_too_large_has_no_facts(suffix: str, text: str) -> None:
    assert not facts_of(suffix, text).definitions


@pytest.mark.parametrize("suffix", READERS)
def test_a_megabyte_is_read_in_bounded_time(suffix: str) -> None:
    text = "f(a, b);\nx = y.z(1);\nint f(int a) { return 1; }\n"
    start = time.process_time()
    facts_of(suffix, text * (1_000_000 // len(text)))
    assert time.process_time() - start < MAX_S


@pytest.mark.parametrize(("suffix", "text"), BROKEN.items())
def test_broken_code_gives_what_can_be_parsed(suffix: str, text: str) -> None:
    assert any(name.split(".")[-1] == "moor" for name in named(f"a{suffix}", text))


@pytest.mark.parametrize(("suffix", "text"), BROKEN.items())
def test_large_broken_files_are_read_as_small_ones(
    suffix: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = facts_of(suffix, text)
    monkeypatch.setattr(syntax, "MAX_BROKEN_BYTES", 0)
    assert facts_of(suffix, text) == small
