"""Random headers, URIs and capabilities, and what must hold for each; for tests and benchmarks."""

import asyncio
import json
import random
import string
import threading
import typing
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
from lsprotocol import types

from lsp_server.convert import path_of, uri_of
from lsp_server.handlers.table import new_server
from lsp_server.receiving.framing import read_bodies
from lsp_server.receiving.lenient import decode, lenient_converter
from tests.server.byte_stream import ByteStream

Random = random.Random
Place = tuple[str | int, ...]

ODD_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2, 3, 27, 99, 2**31, 2**53 - 1, 2**64, -(2**63), 10**400),
    *(0.5, 1e300, float("inf"), "", "x", "compact", "utf-8", "é😀\ud800", [], [None], {}, {"a": 1}),
    *([1, 2, 3, 99], {"valueSet": [1, 99]}, [{}], {"dynamicRegistration": "yes"}),
)


# Headers.


def header(choice: Random, length: int) -> bytes:
    """Return headers that tell a length, in any of the forms that clients use."""
    name = "".join(choice.choice((char.lower(), char.upper())) for char in "content-length")
    spaces = ["".join(choice.choices(" \t", k=choice.randint(0, 2))) for _ in range(3)]
    line = f"{name}{spaces[0]}:{spaces[1]}{length}{spaces[2]}".encode()
    others = [
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8",
        b"content-type:x",
        b"X: 1",
    ]
    lines = [line, *choice.sample(others, choice.randint(0, 2))]
    choice.shuffle(lines)
    end = choice.choice((b"\r\n", b"\r\n", b"\n"))
    return b"".join(line + end for line in (*lines, b""))


def garbage(choice: Random) -> bytes:
    """Return a line that tells no length: it is to be skipped."""
    kind = choice.randrange(5)
    if kind == 0:
        line = bytes(choice.choices(b'ab: ;\x00\xff{}"', k=choice.randint(0, 30)))
    elif kind == 1:
        line = b"Content-Length: " + choice.choice((b"", b"-1", b"x", b"9" * 40, b"1 2", b"0x1"))
    elif kind == 2:
        line = b"X-Content-Length: 5"
    elif kind == 3:
        line = b"Content-Length 5"
    else:
        line = b"GET / HTTP/1.1"
    return line + choice.choice((b"\r\n", b"\n"))


def check_headers(choice: Random) -> None:
    """Read messages with random headers from a stream with random lines between them."""
    sent, stream = list[bytes](), bytearray()
    for _ in range(choice.randint(1, 4)):
        for _ in range(choice.randint(0, 2)):
            stream += garbage(choice)
        body = bytes(choice.choices(range(256), k=choice.randint(1, 60)))
        sent.append(body)
        stream += header(choice, len(body)) + body
    read = list[bytes]()
    reading = read_bodies(threading.Event(), ByteStream(bytes(stream)), read.append)
    with suppress(StopIteration):  # it never waits
        reading.send(None)
    assert read == sent, bytes(stream)


# URIs.


def uri(choice: Random) -> str:
    """Return a URI of any kind, well-formed or not."""
    scheme = choice.choice(
        (
            "file",
            "FILE",
            "untitled",
            "git",
            "vscode-remote",
            "vscode-notebook-cell",
            "",
            "1",
            "f ile",
        )
    )
    slashes = "/" * choice.choice((0, 1, 2, 2, 2, 3, 3, 4))
    host = choice.choice(("", "", "localhost", "[::1]", "[bad", "h]", "a@b:99", "C:", "\x00", "é"))
    odd = (
        "%00",
        "%",
        "%zz",
        "%2f",
        "%5C",
        "..",
        ".",
        "é",
        "😀",
        "\ud800",
        "a b",
        "\n",
        "[",
        "#",
        "?",
    )
    parts = [choice.choice((*odd, "a", "b.py", "c:", "C%3A")) for _ in range(choice.randint(0, 5))]
    tail = choice.choice(("", "", "?q=1", "#f", ";p", "?{%22a%22:1}"))
    return f"{scheme}{choice.choice((':', ':', ''))}{slashes}{host}/{'/'.join(parts)}{tail}"


def file_name(choice: Random) -> str:
    """Return a name that files can have."""
    chars = string.ascii_letters + " .-_~#?%&+=@!'()[]{};,éß中😀"
    name = "".join(choice.choices(chars, k=choice.randint(1, 12)))
    return f"n{name.rstrip(' .')}"


def check_uri(choice: Random) -> None:
    """Read a random URI, and that of a random file."""
    given = uri(choice)
    path = path_of(given)
    if path is not None:
        assert path.is_absolute(), given
        assert "\0" not in str(path), given
        assert ".." not in path.parts, given
    named = Path(Path.cwd().anchor, *(file_name(choice) for _ in range(choice.randint(1, 4))))
    assert path_of(uri_of(named)) == named


# Capabilities.


@lru_cache
def every_capability() -> Any:
    """Return capabilities with every field of every type of the protocol, as JSON."""
    lenient_converter()  # it gives the types of fields that are named by texts
    return _value(types.ClientCapabilities)


def mutated(choice: Random, value: Any) -> tuple[Any, list[Place]]:
    """Return a copy of a value of JSON with odd values in it, and where these are."""
    copied, places = json.loads(json.dumps(value)), list[Place]()
    for _ in range(choice.randint(1, 4)):
        holder, place = copied, ()
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = choice.choice(keys)
            place = (*place, key)
            if not isinstance(holder[key], dict | list) or not holder[key] or choice.random() < 0.2:
                break
            holder = holder[key]
        holder[key] = json.loads(json.dumps(choice.choice(ODD_VALUES)))
        places.append(place)
    return copied, places


def check_decoding(choice: Random) -> None:
    """Decode random capabilities; nothing may be lost but odd values."""
    can, places = mutated(choice, every_capability())
    trace = choice.choice(ODD_VALUES)
    params = {"capabilities": can, "processId": choice.choice(ODD_VALUES), "trace": trace}
    message = {"jsonrpc": "2.0", "id": 1, "method": types.INITIALIZE, "params": params}
    _, left_out = decode(lenient_converter(), message, types.InitializeRequest)
    odd = [_text(("params", "capabilities", *place)) for place in places]
    odd += ["params.processId", "params.trace"]
    for path, _ in left_out:
        assert any(path.startswith(place) or place.startswith(path) for place in odd), (
            path,
            places,
        )


def check_handshake(choice: Random, root: Path) -> None:
    """Have a server accept random capabilities, and folders among which one is good."""
    can, _ = mutated(choice, every_capability())
    folders = [{"uri": uri(choice), "name": choice.choice(ODD_VALUES)} for _ in range(2)]
    folders.insert(choice.randint(0, 2), {"uri": root.as_uri(), "name": "good"})
    params = {
        "capabilities": choice.choice((can, can, can, choice.choice(ODD_VALUES))),
        "rootUri": choice.choice((None, uri(choice), choice.choice(ODD_VALUES))),
        "trace": choice.choice(ODD_VALUES),
        "processId": choice.choice((None, "x", -1, 2**40)),
        "locale": choice.choice(ODD_VALUES),
        "clientInfo": choice.choice(ODD_VALUES),
        "workspaceFolders": folders,
    }
    answer = _initialize(params)
    assert "result" in answer, (answer, params)
    assert answer["result"]["capabilities"]["inlineCompletionProvider"] is not None


class _Answers:
    """Keeps what a server writes."""

    def __init__(self) -> None:
        self.sent = list[Any]()

    def write(self, data: bytes) -> None:
        self.sent.append(json.loads(data.partition(b"\r\n\r\n")[2]))

    def close(self) -> None:
        pass


def _initialize(params: Any) -> Any:
    async def ask() -> Any:
        server, answers = new_server(), _Answers()
        server.protocol.set_writer(answers)
        message = {"jsonrpc": "2.0", "id": 1, "method": types.INITIALIZE, "params": params}
        server.receive(json.dumps(message).encode())
        for _ in range(20):
            await asyncio.sleep(0)
        await server.close()
        (answer,) = (each for each in answers.sent if each.get("id") == 1)
        return answer

    return asyncio.run(ask())


def _text(place: Place) -> str:
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(parts).removeprefix(".")


def _value(kind: Any) -> Any:
    """Return a value of a type, with all of its fields, as JSON."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if attrs.has(kind):
        fields = attrs.fields(kind)
        return {_camel(field.name): _value(field.type) for field in fields}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind)).value
    if kind is type(None) or kind is Any:
        return None
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        inner = arguments[0]
        if isinstance(inner, type) and issubclass(inner, Enum):
            return [each.value for each in inner]
        return [_value(inner)]
    if origin is not None and arguments:
        return _value(arguments[0])  # of a union
    return {str: "text", int: 1, bool: True, float: 1.5}.get(kind)


def _camel(name: str) -> str:
    first, *others = name.rstrip("_").split("_")
    return first + "".join(other.title() for other in others)
