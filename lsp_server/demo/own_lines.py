"""Choice of lines in a user's project whose next name another file defines.

A line is chosen if it goes on with a name that its file has nowhere else, and that exactly one
other file defines. So the name cannot be known from the file alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.languages import language_of
from longllama_code.source_files.source_text import SourceError, read_source
from longllama_code.source_files.workspace import Workspace
from lsp_server.demo.places import NAME, Place

MAX_FILES = 400
MAX_SECONDS = 5.0
"""Time for reading definitions; what was not read by then is not chosen from."""
LINES = range(20, 250)
"""Lengths of the files that lines are taken from: longer ones take longer to read."""
MIN_NAME_CHARS = 8
MAX_END_CHARS = 60
_NOT_CODE = ("#", "//", "*", "/*", '"', "'", "import ", "from ", "use ", "package ", "#include")


def own_places(root: Path, count: int) -> list[Place]:
    """Return lines of a project, each in another file, the most telling names first."""
    texts = _texts(root)
    index = DefinitionIndex()
    deadline = time.monotonic() + MAX_SECONDS
    for path, text in texts.items():
        if time.monotonic() > deadline:
            break
        index.put(path, text)
    found = [place for path, text in texts.items() for place in _first(index, path, text)]
    return sorted(found, key=_length_of_name, reverse=True)[:count]


def _texts(root: Path) -> dict[str, str]:
    """Return the texts of the first files in languages whose definitions are found, by path."""
    texts: dict[str, str] = {}
    for entry in Workspace([root]).scan():
        if entry.exclusion is not None or language_of(entry.relative) is None:
            continue
        try:
            texts[entry.relative] = read_source(entry.path).replace("\r\n", "\n")
        except SourceError:
            continue
        if len(texts) == MAX_FILES:
            break
    return texts


def _first(index: DefinitionIndex, path: str, text: str) -> Iterator[Place]:
    """Yield the place in a file whose name is the longest, if there is one."""
    if text.count("\n") in LINES:
        places = [*_places(index, path, text)]
        if places:
            yield max(places, key=_length_of_name)


def _places(index: DefinitionIndex, path: str, text: str) -> Iterator[Place]:
    names = NAME.findall(text)
    start = 0
    for line in text.split("\n"):
        if not line.lstrip().startswith(_NOT_CODE):
            for match in NAME.finditer(line):
                follows = line[: match.start()].rstrip(" ")[-1:]
                is_told = follows in (".", "(", "=", ",") and len(match[0]) >= MIN_NAME_CHARS
                is_short = len(line) - match.start() <= MAX_END_CHARS
                if is_told and is_short and names.count(match[0]) == 1:
                    yield from _defined_elsewhere(index, path, text, start + match.start())
        start += len(line) + 1


def _defined_elsewhere(
    index: DefinitionIndex, path: str, text: str, offset: int
) -> Iterator[Place]:
    match = NAME.match(text, offset)
    assert match is not None
    files = index.defining(match[0])
    if len(files) == 1 and files[0] != path:
        end = text.find("\n", offset)
        end = len(text) if end < 0 else end
        about = f"{match[0]} of {files[0]}"
        yield Place(path, text[:offset], text[offset:end], text[end:], about)


def _length_of_name(place: Place) -> int:
    match = NAME.match(place.expected)
    return len(match[0]) if match else 0
