"""Fields of requests: any JSON is read or refused, with the value and the remedy."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from lsp_server.http import completions, infill
from lsp_server.http.asked import Asked
from lsp_server.http.errors import Refused
from lsp_server.http.fields import parsed

NAMES = (
    *("input_prefix", "input_suffix", "input_extra", "prompt", "n_predict", "n_indent", "n_cmpl"),
    *("stop", "stream", "file", "suffix", "response_fields", "language", "automatic", "n", "echo"),
    *("max_tokens", "logprobs", "stream_options", "t_max_predict_ms", "id_slot", "text"),
    *("filename", "include_usage"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES)


def request(**headers):
    """A request with headers."""
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/infill", "headers": pairs})


def asked(door, body, **headers):
    return door.asked_by(request(**headers), parsed(json.dumps(body).encode()))


@pytest.mark.parametrize("door", [infill, completions])
@given(BODIES)
def test_any_fields_are_read_or_refused(door, body):
    try:
        assert isinstance(asked(door, body), Asked)
    except Refused as error:
        refused = error
    else:
        return
    assert refused.status == 400
    assert refused.message.endswith(".")
    assert json.loads(json.dumps(refused.body))["error"]["type"] == "invalid_request_error"


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body):
    status = 400
    try:
        parsed(body)
    except Refused as refused:
        status = refused.status
    assert status == 400


def test_nesting_without_end_is_refused():
    with pytest.raises(Refused, match="JSON"):
        parsed(b"[" * 200_000)


INFILL = {"input_prefix": "a\n", "input_suffix": "\nb\n"}


@pytest.mark.parametrize(
    ("door", "body", "message"),
    [
        (infill, {"input_suffix": ""}, "'input_prefix' is missing; send the text on both sides"),
        (infill, {**INFILL, "input_prefix": 3}, "'input_prefix' is 3; send a string."),
        (infill, {**INFILL, "prompt": ["a"]}, "'prompt' is [\"a\"]; send a string."),
        (infill, {**INFILL, "n_predict": "many"}, "'n_predict' is \"many\"; send a number from -1"),
        (infill, {**INFILL, "n_predict": -2}, "'n_predict' is -2; send a number from -1"),
        (infill, {**INFILL, "n_predict": True}, "'n_predict' is true; send a number"),
        (infill, {**INFILL, "n_indent": 1e300}, "'n_indent' is 1e+300; send a number from 0"),
        (infill, {**INFILL, "n_cmpl": 0}, "'n_cmpl' is 0; send a number from 1"),
        (infill, {**INFILL, "stream": "yes"}, "'stream' is \"yes\"; send true or false."),
        (infill, {**INFILL, "stop": [1]}, "'stop' is [1]; send a list of strings."),
        (infill, {**INFILL, "stop": ["a"] * 65}, "'stop' has 65 entries; send 64 at most."),
        (infill, {**INFILL, "input_extra": {}}, "'input_extra' is {}; send a list of objects."),
        (infill, {**INFILL, "input_extra": [{}]}, "'text' is null; send a string"),
        (
            infill,
            {**INFILL, "input_extra": [{"text": "", "filename": 1}]},
            "'filename' is 1; send a string.",
        ),
        (infill, {**INFILL, "file": "a\0b"}, "'file' is no path; send one of 4096 characters"),
        (infill, {**INFILL, "file": "a" * 5_000}, "'file' is no path"),
        (infill, {**INFILL, "file": "\ud800"}, "'file' is no path"),
        (completions, {}, "'prompt' is null; send a string: the text before the cursor."),
        (completions, {"prompt": ["a", "b"]}, '\'prompt\' is ["a", "b"]; send a string'),
        (completions, {"prompt": [1, 2]}, "'prompt' is [1, 2]; send a string"),
        (completions, {"prompt": "", "echo": True}, "'echo' is not supported; leave it out."),
        (completions, {"prompt": "", "logprobs": 3}, "'logprobs' is not supported; leave it out."),
        (completions, {"prompt": "", "suffix": 1}, "'suffix' is 1; send a string."),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_the_remedy(door, body, message):
    with pytest.raises(Refused) as caught:
        asked(door, body)
    assert caught.value.message.startswith(message)
    assert caught.value.field in caught.value.message


def test_a_long_value_is_not_quoted_whole():
    with pytest.raises(Refused) as caught:
        asked(infill, {**INFILL, "n_predict": "secret " * 100})
    assert len(caught.value.message) < 120


def test_null_is_absent_and_numbers_may_have_a_point():
    fields = {"n_predict": 12.0, "n_indent": None, "stop": None, "stream": None, "file": None}
    found = asked(infill, {**INFILL, **fields, "of_another_server": {}})
    assert found.limits.max_tokens == 12
    assert (found.n_indent, found.stops, found.streams, found.file) == (0, (), False, "")


def test_a_file_is_named_by_a_field_a_header_or_a_uri():
    assert asked(infill, {**INFILL, "file": "src/a.py"}).file == "src/a.py"
    assert asked(infill, INFILL, x_longllama_file="src/%C3%A9.py").file == "src/é.py"
    assert asked(infill, INFILL, x_longllama_file="src/é.py").file == "src/é.py"
    assert asked(infill, {**INFILL, "file": "file:///ws/a%20b.py"}).file == "/ws/a b.py"
    both = asked(infill, {**INFILL, "file": "a.py"}, x_longllama_file="b.py")
    assert both.file == "a.py"


def test_a_typing_client_and_an_explicit_one_are_told_apart():
    assert asked(infill, INFILL).is_automatic
    assert not asked(infill, {**INFILL, "automatic": False}).is_automatic
    assert not asked(completions, {"prompt": "a"}).is_automatic
    assert asked(completions, {"prompt": "a", "automatic": True}).is_automatic


def test_chunks_name_files_where_the_user_was_the_last_first():
    chunks = [
        {"text": "x", "time": 1, "filename": "a.py"},
        {"text": "x"},
        {"text": "x", "filename": "b.py"},
        {"text": "x", "filename": "a.py"},
    ]
    assert asked(infill, {**INFILL, "input_extra": chunks}).hints == ("a.py", "b.py")


@pytest.mark.parametrize(
    ("above", "prompt", "rest", "n_indent", "left_out"),
    [
        ("def f():\n", "", "", 4, "    "),
        ("class A:\n\tx = 1\n", "", "", 2, "\t\t"),
        ("def f():\n", "    r", "", 4, ""),
        ("def f():\n", "", ")", 4, ""),
        ("def f():\n", "", "", 0, ""),
    ],
)
def test_the_indentation_that_a_client_leaves_out_is_put_back(
    above, prompt, rest, n_indent, left_out
):
    body = {"input_prefix": above, "prompt": prompt, "input_suffix": f"{rest}\nx\n"}
    found = asked(infill, {**body, "n_indent": n_indent})
    assert found.indentation == left_out
    assert found.before == above + prompt + left_out
