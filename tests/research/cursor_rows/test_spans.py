"""Spans: what is asked of a model, in every language whose grammar is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.research.cursor_rows.spans import SPAN_KINDS, spans_of

PYTHON = """def run(store, päth):
    if store.is_open(päth):
        store.put(päth, text="é")
    return store.size
"""


def texts(path: str, text: str) -> dict[str, set[str]]:
    found = dict[str, set[str]]()
    for span in spans_of(path, text):
        found.setdefault(span.kind, set()).add(text[span.start : span.end])
    return found


def test_every_kind_is_found_in_python_at_its_characters() -> None:
    found = texts("a.py", PYTHON)
    assert found["call"] == {"store.is_open(päth)", 'store.put(päth, text="é")'}
    assert found["argument"] == {"päth", 'text="é"'}
    assert found["member"] == {"is_open", "put", "size"}
    assert found["condition"] == {"store.is_open(päth)"}
    assert found["statement"] == {'store.put(päth, text="é")', "return store.size"}
    assert 'store.put(päth, text="é")' in found["block"]
    assert set(found) == set(SPAN_KINDS)


@pytest.mark.parametrize(
    ("path", "text", "call", "member"),
    [
        ("a.ts", "function f() { if (a.b) { a.put(c); } }", "a.put(c)", "put"),
        ("a.js", "function f() { if (a.b) { a.put(c); } }", "a.put(c)", "put"),
        ("a.go", "package a\nfunc f() { if b { a.Put(c) } }", "a.Put(c)", "Put"),
        ("a.rs", "fn f() { if b { a.put(c); } }", "a.put(c)", "put"),
        ("A.java", "class A { void f() { if (b) { a.put(c); } } }", "a.put(c)", "put"),
        ("a.c", "void f() { if (b) { a.put(c); } }", "a.put(c)", "put"),
        ("a.cpp", "void f() { if (b) { a.put(c); } }", "a.put(c)", "put"),
    ],
)
def test_other_languages_have_the_same_kinds(path: str, text: str, call: str, member: str) -> None:
    found = texts(path, text)
    assert call in found["call"]
    assert member in found["member"]
    assert "c" in found["argument"]
    assert {"condition", "block"} <= set(found)


def test_files_that_no_grammar_reads_have_no_spans() -> None:
    assert spans_of("a.txt", PYTHON) == []
    assert spans_of("a.py", "def broken(:\n    put(a") == []


@given(st.text(max_size=60), st.sampled_from(["é", "漢", "a", "𝒳"]))
def test_spans_lie_in_the_text(noise: str, letter: str) -> None:
    text = f"{letter}.put({letter}1)\n# {noise!r}\n"
    spans = spans_of("a.py", text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert f"{letter}.put({letter}1)" in {text[span.start : span.end] for span in spans}
