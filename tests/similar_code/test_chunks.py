"""Chunks of files, queries, and the terms by which they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.similar_code.chunks import (
    CHUNK_LINES,
    MAX_CHUNK_CHARS,
    MAX_QUERY_CHARS,
    Chunk,
    chunks_of,
    query_of,
    terms_of,
)

LINES = st.lists(st.sampled_from(["", "  ", "a", "    b = 1", "\tc()"]), max_size=60)


@given(LINES)
def test_chunks_have_every_line_that_is_not_blank_once_and_in_order(lines: list[str]) -> None:
    chunks = list(chunks_of("a.py", "\n".join(lines)))
    shown = [line for chunk in chunks for line in chunk.text.split("\n")]
    assert [line for line in shown if line] == [line for line in lines if line.strip()]
    assert all(chunk.text.count("\n") == CHUNK_LINES - 1 for chunk in chunks[:-1])
    for chunk in chunks:
        first, *_, last = [*chunk.text.split("\n"), chunk.text.split("\n")[-1]]
        assert (lines[chunk.line - 1], lines[chunk.last_line - 1]) == (first, last)


def test_a_chunk_names_its_lines() -> None:
    text = "\n\n" + "x = 1\n\n" * 11
    assert list(chunks_of("a.py", text)) == [
        Chunk("a.py", 3, 21, "\n".join(["x = 1"] * 10)),
        Chunk("a.py", 23, 23, "x = 1"),
    ]


def test_lines_that_would_fill_a_prompt_are_left_out() -> None:
    long = "x" * MAX_CHUNK_CHARS
    assert [chunk.text for chunk in chunks_of("a.js", long)] == [long]
    assert list(chunks_of("a.min.js", long + "x")) == []


@given(LINES)
def test_a_query_is_the_last_chunk_that_ends_at_the_cursor(lines: list[str]) -> None:
    wanted = [line for line in lines if line.strip()][-CHUNK_LINES:]
    assert query_of("\n".join(lines)) == "\n".join(wanted)


def test_a_query_ends_with_the_text_before_the_cursor_however_long_its_line() -> None:
    query = query_of("y" * MAX_QUERY_CHARS + "x")
    assert len(query) == MAX_QUERY_CHARS
    assert query.endswith("yx")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("1 + 2", []),
        ("total", ["total"]),
        ("self.readFile()", ["self", "readfile", "read", "file"]),
        ("read_file read", ["read_file", "read", "file", "read"]),
        ("HTTPServer2", ["httpserver2", "http", "server2"]),
        ("_cache __init__ _", ["_cache", "cache", "__init__", "init", "_"]),
        ("größe_über", ["größe_über", "größe", "über"]),
    ],
)
def test_terms_are_identifiers_and_their_parts(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms
