"""From a cursor to a request, and from an answer to a suggestion."""

import pytest

from longllama_code.protocol import CompletionResult, Timings
from longllama_code.source_files.model_text import model_text
from lsp_server.documents.document import Snapshot
from lsp_server.settings.layers import resolve
from lsp_server.suggestions.request import (
    Cursor,
    build_request,
    no_suggestion,
    refuse,
    to_suggestion,
)


def cursor(marked, automatic=False, language="python"):
    """A cursor where the text has a bar."""
    before, _, after = marked.partition("|")
    return Cursor(Snapshot("untitled:a", language, 1, before + after), len(before), automatic)


def settings(**section):
    found, problems = resolve([section])
    assert not problems
    return found


@pytest.mark.parametrize(
    ("marked", "word", "line_suffix"),
    [
        ("|", "", ""),
        ("x = foo_b|ar(1)\ny", "foo_b", "ar(1)"),
        ("foo.|", "", ""),
        ("a\r\nbé2|\r\nc", "bé2", ""),
        ("a\rb|c\rd", "b", "c"),
        ("x\ny|\n", "y", ""),
    ],
)
def test_what_stands_around_the_cursor(marked, word, line_suffix):
    assert (cursor(marked).word, cursor(marked).line_suffix) == (word, line_suffix)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a\r\nb\n\r\n", "a\nb\n\n"),
        ("a\rb", "a\rb"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d", "\ufffd"),
        ("\ufeffa", "\ufeffa"),
        ("\f\u2028", "\f\u2028"),
    ],
)
def test_the_text_as_the_model_reads_it(text, read):
    assert model_text(text) == read


def test_the_request_has_what_stands_on_both_sides_and_the_limits():
    limits = settings(completion={"maxTokens": 7, "timeoutMs": 9, "multiline": False})
    request = build_request(cursor("a\r\nb|c\r\nd"), "src/a.py", limits)
    assert (request.path, request.prefix, request.suffix) == ("src/a.py", "a\nb", "c\nd")
    assert (request.max_tokens, request.timeout_ms, request.multiline) == (7, 9, False)
    assert request.uses_memory


def test_refusals():
    assert refuse(cursor("x|"), "a.py", settings(enable=False)) == "disabled"
    only_go = settings(enableLanguages={"go": True, "*": False})
    assert refuse(cursor("x|"), "a.py", only_go) == "language_disabled"
    assert refuse(cursor("x|", language="go"), "a.py", only_go) is None
    assert refuse(cursor("x|y", automatic=True), "a.py", settings()) == "inside_word"
    assert refuse(cursor("x|", automatic=True), "a.py", settings()) is None


def result(text, empty_reason=None):
    return CompletionResult(text, "line", Timings(), empty_reason=empty_reason)


def test_an_answer_becomes_a_suggestion_with_an_id_of_its_own():
    one, two = (to_suggestion(result("1)"), cursor("f(|)")) for _ in range(2))
    assert (one.text, one.reason) == (two.text, two.reason) == ("1", None)
    assert one.id != two.id != no_suggestion("disabled").id


def test_every_empty_answer_has_a_reason():
    assert to_suggestion(result("", "deadline"), cursor("|")).reason == "deadline"
    assert to_suggestion(result(")"), cursor("f(1|)")).reason == "repeats_line"
    assert no_suggestion("superseded").reason == "superseded"


def test_in_comments_where_that_is_wanted():
    off = settings(completion={"disableInComments": True})
    assert refuse(cursor("x = 1  # so|"), "a.py", off) == "in_comment"
    assert refuse(cursor("x = 1  |"), "a.py", off) is None
    assert refuse(cursor("x = 1  # so|"), "a.py", settings()) is None


@pytest.mark.parametrize(
    ("percent", "automatic", "asked"), [(0, True, None), (20, True, 0.2), (20, False, 0.0)]
)
def test_how_sure_the_model_must_be_is_its_own_business_where_nobody_says(
    percent, automatic, asked
):
    found = settings(trigger={"minConfidence": percent})
    request = build_request(cursor("x = |", automatic), "a.py", found)
    assert request.min_confidence == asked
