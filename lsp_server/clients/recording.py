"""A conversation of an editor and a server, as a file of JSON lines.

Each line is a message and who sent it. The workspace folder is written ``${root}``, in URIs and in
plain paths, so that a session can be replayed on another machine. It holds the source text that the
editor sent.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast
from urllib.parse import quote, unquote, urlsplit

Json = dict[str, Any]
Sender = Literal["editor", "server"]

ROOT = "${root}"


@dataclass(frozen=True)
class Line:
    """One message."""

    sender: Sender
    message: Json


def read_session(path: Path) -> list[Line]:
    """The messages of a session, in order.

    Raises:
        ValueError: the file holds something else; the message says in which line.
    """
    lines: list[Line] = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            fields = json.loads(text)
            lines.append(Line(fields["from"], fields["message"]))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}:{number} is no message of a recorded session.") from None
    return lines


def as_text(line: Line) -> str:
    """A message as its line of the file."""
    fields = {"from": line.sender, "message": line.message}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def root_of(initialize: Json) -> str | None:
    """The path of the first workspace folder that ``initialize`` names."""
    params = initialize.get("params") or {}
    folders = params.get("workspaceFolders") or []
    uri = folders[0]["uri"] if folders else params.get("rootUri")
    return unquote(urlsplit(uri).path) if uri else None


def without_root(message: Json, root: str) -> Json:
    """The message with the placeholder where the workspace folder stood."""
    return _each_text(message, lambda text: text.replace(quote(root), ROOT).replace(root, ROOT))


def with_root(message: Json, root: Path) -> Json:
    """The message with a workspace folder where the placeholder stands."""

    def fill(text: str) -> str:
        path = root.as_posix()
        return text.replace(f"file://{ROOT}", f"file://{quote(path)}").replace(ROOT, path)

    return _each_text(message, fill)


def frames(stream: IO[bytes]) -> Iterator[bytes]:
    """The bodies of the messages that come in on a stream, until it ends."""
    while (length := _content_length(stream)) is not None:
        body = stream.read(length)
        if len(body) < length:
            return
        yield body


def framed(body: bytes) -> bytes:
    """A body with the header that goes before it."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def _content_length(stream: IO[bytes]) -> int | None:
    """What the next header says; None where the stream ends."""
    length: int | None = None
    while line := stream.readline():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
        if not line.strip() and length is not None:
            return length
    return None


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(item, change) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _each_text(item, change) for key, item in items}
    return value
