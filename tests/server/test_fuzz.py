"""Arbitrary messages: every request has one answer, texts are right, and the server does not end.

`LONGLLAMA_FUZZ=long` tries twenty times as many examples.
"""

import asyncio
import json
import os
import threading
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsprotocol import types

from lsp_server.documents.document import Documents, Edit, Position
from lsp_server.receiving.framing import read_bodies
from tests.server import fuzzing
from tests.server.byte_stream import ByteStream
from tests.server.wire import Wire

FACTOR = 20 if os.environ.get("LONGLLAMA_FUZZ") == "long" else 1
"""Multiple of the number of examples."""

few = settings(
    max_examples=25 * FACTOR,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
many = settings(max_examples=200 * FACTOR, deadline=None)

METHODS = sorted(
    {
        *(method for method in types.METHOD_TO_TYPES if not method.startswith("$")),
        *("longllama/status", "longllama/memory", "longllama/explain", "longllama/unknown", ""),
        *("textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"),
    }
    # These end the conversation; tests of the protocol have them.
    - {types.SHUTDOWN, types.EXIT}
)
COMMANDS = ["reindex", "pauseIndexing", "clearMemory", "toggle", "toggleLanguage", "explain", "x"]

numbers = st.integers(-3, 2**31) | st.integers()
scalars = st.none() | st.booleans() | numbers | st.floats(allow_nan=False) | st.text(max_size=20)
uris = st.sampled_from(
    [
        "untitled:a",
        "file:///a.py",
        "file:",
        "",
        "file://host/../../x",
        "git:/b?c",
        "file:///%00",
        "\0",
    ]
)
positions = st.fixed_dictionaries({"line": numbers, "character": numbers})
ranges = st.fixed_dictionaries({"start": positions, "end": positions})
known = {
    "uri": uris,
    "textDocument": st.fixed_dictionaries(
        {"uri": uris}, optional={"version": numbers, "languageId": st.text(), "text": st.text()}
    ),
    "position": positions,
    "range": ranges,
    "context": st.fixed_dictionaries({"triggerKind": st.integers(0, 4)}),
    "contentChanges": st.lists(
        st.fixed_dictionaries({"text": st.text(max_size=30)}, optional={"range": ranges}),
        max_size=3,
    ),
    "settings": st.dictionaries(st.sampled_from(["longllama", "x"]), scalars, max_size=2),
    "command": st.sampled_from([f"longllama.{name}" for name in COMMANDS]),
    "arguments": st.lists(scalars, max_size=3),
}
objects = st.fixed_dictionaries({}, optional=known)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
messages = st.tuples(st.sampled_from(METHODS), objects | objects | anything, st.booleans())


@pytest.fixture
def run():
    """Runs a coroutine to its end, each in a loop of its own."""
    return asyncio.run


async def begun(monkeypatch, root):
    """A server after its handshake."""
    wire = Wire(monkeypatch)
    await wire.begin(root)
    return wire


@few
@given(sent=st.lists(messages, max_size=12))
def test_every_request_has_one_answer(monkeypatch, root, run, sent):
    async def converse():
        wire = await begun(monkeypatch, root)
        n_before = len(wire.n_answers)
        ids = []
        for number, (method, params, is_request) in enumerate(sent, start=1000):
            if is_request:
                wire._send({"id": number, "method": method, "params": params})
                ids.append(number)
            else:
                wire._send({"method": method, "params": params})
            await asyncio.sleep(0)
        await wire.until(lambda: set(ids) <= set(wire.n_answers))
        assert all(wire.n_answers[number] == 1 for number in ids)
        assert len(wire.n_answers) == n_before + len(ids)
        # And it still does what it is for.
        await wire.command("longllama.showStatus")
        await wire.end()

    run(converse())


framed = st.one_of(
    st.binary(max_size=60),
    anything.map(lambda value: json.dumps(value).encode()),
    messages.map(
        lambda message: json.dumps(
            {"jsonrpc": "2.0", "method": message[0], "params": message[1]}
        ).encode()
    ),
).map(lambda body: b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


@few
@given(parts=st.lists(framed | st.binary(max_size=40), max_size=8))
def test_bytes_of_any_kind(monkeypatch, root, run, parts):
    async def converse():
        wire = await begun(monkeypatch, root)
        server = wire.server
        status = b'{"jsonrpc":"2.0","id":"last","method":"longllama/status","params":{}}'
        with suppress(asyncio.IncompleteReadError):
            await read_bodies(threading.Event(), ByteStream(b"".join(parts)), server.receive)
        last = ByteStream(b"Content-Length: %d\r\n\r\n%s" % (len(status), status))
        await read_bodies(threading.Event(), last, server.receive)
        await wire.until(lambda: wire.n_answers.get("last") == 1)
        await wire.end()

    run(converse())


# Texts: edits against a model that knows nothing but code units.

chars = st.sampled_from([*"ab \n\r\t", "\r\n", "é", "€", "😀", "\u2028", "\f", "\x85"])
texts = st.lists(chars, max_size=15).map("".join)
places = st.tuples(st.integers(0, 6), st.integers(0, 9))
edits = st.lists(st.tuples(places, places, texts), max_size=6)
CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def model_offset(text: str, place: tuple[int, int], encoding: str) -> int:
    """Where a position stands, found character by character."""
    codec, unit = CODECS[encoding]
    line = units = 0
    for offset, char in enumerate(text):
        before = text[offset - 1] if offset else ""
        if before == "\n" or (before == "\r" and char != "\n"):
            line, units = line + 1, 0
        is_end = char in "\r\n"
        width = len(char.encode(codec)) // unit
        if line > place[0]:
            return offset
        if line == place[0] and (is_end or units + width > place[1]):
            return offset
        units += width
    return len(text)


@many
@given(text=texts, changes=edits, encoding=st.sampled_from(sorted(CODECS)))
def test_the_text_is_that_of_the_reference_model(text, changes, encoding):
    documents = Documents()
    documents.open("untitled:a", "python", 1, text)
    expected = text
    for version, (one, other, new) in enumerate(changes, start=2):
        first, last = sorted(model_offset(expected, place, encoding) for place in (one, other))
        expected = expected[:first] + new + expected[last:]
        edit = Edit(Position(*one), Position(*other), new)
        documents.change("untitled:a", [edit], version, encoding)
        assert documents.get("untitled:a").text == expected


# Headers, URIs and capabilities; `tests/bench/fuzz.py` tries a hundred thousand of each.

choices = st.randoms(use_true_random=False)


@many
@given(choice=choices)
def test_messages_are_read_whatever_their_headers_look_like(choice):
    fuzzing.check_headers(choice)


@many
@given(choice=choices)
def test_a_uri_names_a_file_or_none(choice):
    fuzzing.check_uri(choice)


@many
@given(choice=choices)
def test_nothing_is_left_out_of_capabilities_but_what_is_odd(choice):
    fuzzing.check_decoding(choice)


@few
@given(choice=choices)
def test_any_client_is_accepted(root, choice):
    fuzzing.check_handshake(choice, root)
