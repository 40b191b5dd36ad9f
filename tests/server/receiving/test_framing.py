"""Headers in any case and spacing, lengths that are impossible, JSON that is hard to read."""

import asyncio
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.receiving.framing import (
    MAX_BODY_BYTES,
    content_length,
    parse,
    read_bodies,
    without_headers,
)
from tests.server.byte_stream import ByteStream

BODY = b'{"jsonrpc":"2.0"}'


def bodies_of(data):
    """Return the bodies that are read of a stream."""
    bodies = []
    asyncio.run(read_bodies(threading.Event(), ByteStream(data), bodies.append))
    return bodies


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: %d\r\n",
        b"content-length: %d\r\n",
        b"CONTENT-LENGTH: %d\r\n",
        b"Content-Length:%d\r\n",
        b"content-length:%d\r\n",
        b"Content-Length:\t%d\r\n",
        b"Content-Length :   %d  \r\n",
        b" Content-Length: %d\r\n",
        b"Content-Length: 00%d\r\n",
        b"Content-Length: %d\n",
        b"\xef\xbb\xbfContent-Length: %d\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf8\r\nContent-Length: %d\r\n",
        b"content-length: %d\r\ncontent-type:application/vscode-jsonrpc\r\n",
        b"X-Content-Length: 3\r\nContent-Length: %d\r\nX: Content-Length: 4\r\n",
        b"Content-Length: 0\r\n\r\nContent-Length: %d\r\n",
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_length_has_any_case_and_spacing(header, end):
    message = header % len(BODY) + end + BODY
    assert bodies_of(message * 2) == [BODY] * 2


names = st.lists(st.booleans(), min_size=14, max_size=14).map(
    lambda upper: "".join(
        char.upper() if is_upper else char
        for char, is_upper in zip("content-length", upper, strict=True)
    )
)
spaces = st.text(" \t", max_size=3)


@given(names, spaces, spaces, spaces, st.integers(0, MAX_BODY_BYTES), st.sampled_from(["", "+"]))
def test_the_length_is_that_of_the_header(name, before, between, after, length, sign):
    line = f"{name}{before}:{between}{sign}{length}{after}\r\n"
    assert content_length(line.encode()) == length


@pytest.mark.parametrize(
    "length", [b"9" * 30, b"9" * 5000, b"-5", b"0x10", b"1e3", b"", b"99999999999"]
)
def test_an_impossible_length_is_skipped(length):
    good = b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    assert bodies_of(b"Content-Length: %s\r\n\r\n" % length + good) == [BODY]


def test_a_stream_is_followed_again_after_a_length_that_was_too_short():
    good = b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    short = b"Content-Length: %d\r\n\r\n" % (len(BODY) - 4) + BODY
    assert bodies_of(short + good) == [BODY[:-4], BODY]


def test_a_stream_that_ends_within_a_body_is_told():
    with pytest.raises(asyncio.IncompleteReadError):
        bodies_of(b"Content-Length: 50\r\n\r\n" + BODY)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_bodies_come_out_as_they_went_in(sent):
    stream = b"".join(b"content-LENGTH:%d\r\n\r\n%s" % (len(body), body) for body in sent)
    assert bodies_of(stream) == sent


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_json_in_any_utf(codec):
    assert parse(json.dumps({"a": "é😀"}, ensure_ascii=False).encode(codec)) == {"a": "é😀"}


def test_bytes_that_are_no_text_are_replaced():
    assert parse(b'{"text": "caf\xe9"}') == {"text": "caf\ufffd"}


@pytest.mark.parametrize("sign", ["", "-"])
def test_an_integer_of_any_length_is_read(sign):
    value = parse(f'{{"line": {sign}{"9" * 100_000}}}'.encode())["line"]
    assert abs(value) > 2**53
    assert (value < 0) == (sign == "-")


@pytest.mark.parametrize("headers", [b"", b"Content-Length: 17\r\n\r\n", b"content-type:x\n\n"])
def test_a_websocket_message_may_have_headers(headers):
    assert without_headers(headers + BODY) == BODY
