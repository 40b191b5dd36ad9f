"""From a cursor to a request of the engine, or to a refusal."""

import json
from dataclasses import replace

import pytest

from longllama_code.protocol import CompletionRequest, RecentEdit
from longllama_code.source_files.model_text import model_text
from lsp_server.engine.protocol import from_plain, to_plain
from lsp_server.settings.layers import resolve
from lsp_server.suggestions.cursor_context import EditedFile
from lsp_server.suggestions.filters import FilePlace
from lsp_server.suggestions.request import build_request, refuse
from tests.server.suggestions.cursors import cursor


def settings(**section):
    found, problems = resolve([section])
    assert not problems
    return found


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a\r\nb\n\r\n", "a\nb\n\n"),
        ("a\rb\r\rc\r", "a\nb\n\nc\n"),
        ("é\rb", "é\nb"),
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
    request = build_request(cursor("a\r\nb|c\r\nd", path="src/a.py"), limits)
    assert (request.path, request.prefix, request.suffix) == ("src/a.py", "a\nb", "c\nd")
    assert (request.max_tokens, request.timeout_ms, request.multiline) == (7, 9, False)
    assert request.uses_memory


def test_the_request_says_what_is_shown_of_other_files():
    request = build_request(cursor("x = |"), settings())
    assert (request.definition_tokens, request.repository_context) == (768, "definitions")
    similar = settings(completion={"definitionTokens": 5, "repositoryContext": "similar"})
    request = build_request(cursor("x = |"), similar)
    assert (request.definition_tokens, request.repository_context) == (5, "similar")
    assert from_plain(to_plain(request), CompletionRequest) == request


def test_refusals():
    assert refuse(cursor("x|"), settings(enable=False)) == "disabled"
    only_go = settings(enableLanguages={"go": True, "*": False})
    assert refuse(cursor("x|"), only_go) == "language_disabled"
    assert refuse(cursor("x|", language="go"), only_go) is None
    assert refuse(cursor("x|y", automatic=True), settings()) == "inside_word"
    assert refuse(cursor("x|", automatic=True), settings()) is None


def test_in_comments_where_that_is_wanted():
    off = settings(completion={"disableInComments": True})
    assert refuse(cursor("x = 1  # so|"), off) == "in_comment"
    assert refuse(cursor("x = 1  |"), off) is None
    assert refuse(cursor("x = 1  # so|"), settings()) is None


@pytest.mark.parametrize(
    ("percent", "automatic", "asked"), [(0, True, None), (20, True, 0.2), (20, False, 0.0)]
)
def test_how_sure_the_model_must_be_is_its_own_business_where_nobody_says(
    percent, automatic, asked
):
    found = settings(trigger={"minConfidence": percent})
    request = build_request(cursor("x = |", automatic=automatic), found)
    assert request.min_confidence == asked


def edited(path, *, language="python", folder="/ws"):
    return EditedFile(
        language, (FilePlace(folder, path),), path, RecentEdit(path, "a = 1", "a = 2", 1)
    )


def test_the_request_has_recent_edits_of_files_where_something_may_be_suggested():
    files = [
        edited("a.py"),
        edited("main.go", language="go"),
        edited("gen/b.py"),
        edited("secrets.json", language="json"),
        edited("c.py"),
    ]
    at = replace(cursor("x = |"), edited=tuple(files))
    found = settings(
        completion={"recentEdits": True}, enableLanguages={"go": False}, disabledGlobs=["gen/**"]
    )
    request = build_request(at, found)
    assert [one.path for one in request.recent_edits] == ["a.py", "c.py"]
    assert from_plain(json.loads(json.dumps(to_plain(request))), CompletionRequest) == request
    assert build_request(at, settings(completion={"recentEdits": False})).recent_edits == ()


def test_a_setting_says_whether_names_must_exist():
    assert build_request(cursor("x|"), settings()).existing_names
    off = settings(completion={"existingNames": False})
    assert not build_request(cursor("x|"), off).existing_names
