"""Files of a workspace that a person is assumed to have visited before opening a document."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath

from longllama_code.definitions.layout import path_distance
from longllama_code.source_files.languages import language_of
from longllama_code.source_files.source_text import SourceError, read_source
from longllama_code.source_files.workspace import Workspace

MAX_VISITS = 8


def visited_files(folder: Path, file: str) -> list[tuple[Path, str]]:
    """Return paths and texts of other files with the same language, in the order of the visits.

    They are those nearest in the folder tree, the nearest last.

    Args:
        folder: the workspace.
        file: path of the document, relative to the workspace.
    """
    return [*islice(_nearest(folder, file), MAX_VISITS)][::-1]


def _nearest(folder: Path, file: str) -> Iterator[tuple[Path, str]]:
    language = _language(file)
    names = [
        entry.relative
        for entry in Workspace([folder]).scan()
        if entry.exclusion is None
        and entry.relative != file
        and _language(entry.relative) == language
    ]
    for name in sorted(names, key=lambda name: (path_distance(file, name), name)):
        path = folder.absolute() / name
        with suppress(SourceError):
            yield path, read_source(path)


def _language(file: str) -> str:
    """Return the language of a file, or its suffix if that is unknown."""
    path = PurePosixPath(file)
    return language_of(path.name) or path.suffix
