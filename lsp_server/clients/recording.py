"""Recorded sessions: the messages between an editor and a server, as a file of JSON lines.

Each line is a message with its sender. The workspace folder is replaced by ``${root}``, in URIs and
in paths, so that a session can be replayed on another machine. Source text that the editor sent is
part of the file.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast
from urllib.parse import quote, unquote, urlsplit

from longllama_code.console import read_text

Json = dict[str, Any]
Sender = Literal["editor", "server"]

ROOT = "${root}"


@dataclass(frozen=True)
class Line:
    """Message and its sender."""

    sender: Sender
    message: Json


def read_session(path: Path) -> list[Line]:
    """Return the messages of a session, in order.

    Raises:
        ValueError: a line is not a message; the error names file and line.
    """
    lines: list[Line] = []
    for number, text in enumerate(read_text(path).rstrip("\n").split("\n"), start=1):
        try:
            fields = json.loads(text)
            lines.append(Line(fields["from"], fields["message"]))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}:{number} is no message of a recorded session.") from None
    return lines


def as_text(line: Line) -> str:
    """Return the file's line for a message."""
    fields = {"from": line.sender, "message": line.message}
    text = json.dumps(fields, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode()  # lone surrogates become escapes


def root_of(initialize: Json) -> str | None:
    """Return the path of the first workspace folder in ``initialize``; None if there is none."""
    params = initialize.get("params") or {}
    folders = params.get("workspaceFolders") or []
    uri = folders[0]["uri"] if folders else params.get("rootUri")
    return unquote(urlsplit(uri).path) if uri else None


def without_root(message: Json, root: str) -> Json:
    """Replace the path of the workspace folder in a message by the placeholder."""
    return _map_strings(message, lambda text: text.replace(quote(root), ROOT).replace(root, ROOT))


def with_root(message: Json, root: Path) -> Json:
    """Replace the placeholder in a message by the path of a workspace folder."""

    def fill(text: str) -> str:
        path = root.as_posix()
        return text.replace(f"file://{ROOT}", f"file://{quote(path)}").replace(ROOT, path)

    return _map_strings(message, fill)


def frames(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the bodies of the messages on a stream, until it ends."""
    while (length := _content_length(stream)) is not None:
        body = stream.read(length)
        if len(body) < length:
            return
        yield body


def framed(body: bytes) -> bytes:
    """Return a body with its header."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def _content_length(stream: IO[bytes]) -> int | None:
    """Return the length in the next header; None at the end of the stream."""
    length: int | None = None
    while line := stream.readline():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
        if not line.strip() and length is not None:
            return length
    return None


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_strings(item, change) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _map_strings(item, change) for key, item in items}
    return value
