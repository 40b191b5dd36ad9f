"""What llama.vscode's requests take from a document, and their fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.systems.llama_vscode_prompt import (
    Prompt,
    Settings,
    completion_request,
    cursor_at,
    indentation,
    prompt_at,
    split_lines,
    update_request,
)
from lsp_server.benchmarks.systems.ring import Chunk

DEFAULTS = Settings()
CHUNK = Chunk("/w/a.py", ("a = 1", "b = 2", "c = 3"), 1234)
TEXTS = st.text(alphabet="ab \té\u2028\r\n", max_size=60)


def prompt(text: str, **settings: int) -> Prompt:
    """Return the prompt at the ``|`` of a text."""
    return prompt_at(cursor_at(text.replace("|", ""), text.index("|")), Settings(**settings))


def test_a_request_has_the_fields_of_the_extension_but_for_two():
    request = completion_request(Prompt("a\n", ")\nb\n", "  f("), 2, [CHUNK], DEFAULTS)
    exceptions = {"n_cmpl": 1, "top_k": 1}  # 3 and 40
    assert request == exceptions | {
        "id_slot": 0,
        "input_prefix": "a\n",
        "input_suffix": ")\nb\n",
        "input_extra": [{"text": "a = 1\nb = 2\nc = 3\n", "time": 1234, "filename": "/w/a.py"}],
        "prompt": "  f(",
        "n_predict": 128,
        "top_p": 0.99,
        "stream": False,
        "samplers": ["top_k", "top_p", "infill"],
        "cache_prompt": True,
        "n_indent": 2,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 500,
    }


def test_a_line_without_indentation_sends_none():
    assert "n_indent" not in completion_request(Prompt("", "", ""), 0, [], DEFAULTS)


def test_an_update_generates_nothing():
    assert update_request([CHUNK], DEFAULTS) == {
        "id_slot": 0,
        "input_prefix": "",
        "input_suffix": "",
        "input_extra": [{"text": CHUNK.text, "time": 1234, "filename": "/w/a.py"}],
        "prompt": "",
        "n_predict": 0,
        "samplers": [],
        "cache_prompt": True,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 1,
    }


def test_a_prompt_is_the_lines_around_the_cursor():
    assert prompt("a\n  b = |c\nd") == Prompt("a\n", "c\nd\n", "  b = ")
    assert prompt("|") == Prompt("\n", "\n\n", "")


def test_indentation_before_the_cursor_is_left_to_the_model():
    assert prompt("a\n \t |c") == Prompt("a\n", "c\n\n", "")


def test_a_prompt_is_bounded_by_lines():
    text = "\n".join(["1", "2", "3", "|", "4", "5", "6"])
    assert prompt(text, n_prefix=2, n_suffix=1) == Prompt("2\n3\n", "\n4\n", "")


@given(TEXTS, st.data())
def test_a_prompt_joins_to_the_document(text: str, data: st.DataObject):
    offset = data.draw(st.integers(0, len(text)))
    cursor = cursor_at(text, offset)
    whole = "\n".join(split_lines(text))
    made = prompt_at(cursor, DEFAULTS)
    is_blank = not cursor.line_prefix.strip(" \t")
    assert made.prompt == ("" if is_blank else cursor.line_prefix)
    before = made.prefix if cursor.line else ""
    after = made.suffix.removesuffix("\n" if cursor.line < len(cursor.lines) - 1 else "\n\n")
    assert before + cursor.line_prefix + after == whole
    before_cursor = before + cursor.line_prefix
    assert before_cursor.replace("\n", "") == text[:offset].replace("\n", "").replace("\r", "")


def test_a_cursor_inside_of_a_line_end_is_before_it():
    cursor = cursor_at("ab\r\ncd", 3)
    assert (cursor.line, cursor.character) == (0, 2)
    assert (cursor_at("ab\r\ncd", 4).line, cursor_at("ab\r\ncd", 4).character) == (1, 0)


@pytest.mark.parametrize("offset", [-1, 3])
def test_a_cursor_outside_of_the_document_is_refused(offset: int):
    with pytest.raises(ValueError, match=f"offset {offset} is outside"):
        cursor_at("ab", offset)


def test_indentation_of_a_blank_line_is_its_length():
    assert [indentation(line) for line in ("a", "  a ", "\ta", "   ")] == [0, 2, 1, 3]
