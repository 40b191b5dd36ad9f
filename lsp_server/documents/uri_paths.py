"""Paths that a document's URI names, whatever its scheme, for rules about names of files.

`vscode-remote://host/home/me/a.py`, `git:/ws/a.py?{"path":"/ws/a.py"}` and
`vscode-notebook-cell:/ws/a.ipynb#W0` name files like `file:///ws/a.py` does. Rules that keep a
file's text private must hold for each of them, so every path that a URI mentions counts.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

# Two letters at least: one is a drive.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_DRIVE = re.compile(r"/[A-Za-z]:")
# Editors' git extensions: `fugitive:///ws/.git//0/a.py`, `gitsigns:///ws/.git//HEAD:a.py`.
_IN_REPOSITORY = re.compile(r"(?P<top>.*)/\.git/+:?[^/:]+[:/](?P<file>.+)", re.DOTALL)
MAX_PATH_CHARS = 4_096
"""Only the end of a longer path counts; no file has one."""
MAX_QUERY_CHARS = 10_000
"""Longer queries hold something else than paths, and are not read."""


def paths_in(uri: str) -> tuple[str, ...]:
    """Return the paths that a URI names, decoded, with forward slashes and without ``..``.

    First its own; then, as git extensions have it, that of a file behind the repository's folder,
    and those in its query. A path without a folder, such as that of ``untitled:secrets.json``,
    stays one.
    """
    path, _, query = _without_scheme(uri).partition("#")[0].partition("?")
    is_file = uri[:5].lower() == "file:"
    found = [path, *([] if is_file else _in_repository(path)), *_in_query(query)]
    return tuple(dict.fromkeys(normal for each in found if (normal := _normal(each))))


def names_other_machine(uri: str) -> bool:
    """Whether a URI has an authority, so that its path need not be one of this machine."""
    scheme = _SCHEME.match(uri)
    rest = uri[scheme.end() :] if scheme else uri
    return rest.startswith("//") and rest[2:].partition("/")[0] not in ("", "localhost")


def last_name(uri: str) -> str:
    """Return the name of a document without a file: the end of its path, and its fragment.

    Cells of a notebook differ in the fragment alone.
    """
    paths, fragment = paths_in(uri), uri.partition("#")[2]
    name = paths[0].rpartition("/")[2] if paths else ""
    return f"{name}#{fragment}" if fragment else name


def _without_scheme(uri: str) -> str:
    scheme = _SCHEME.match(uri)
    rest = uri[scheme.end() :] if scheme else uri
    if not rest.startswith("//"):
        return rest
    return "/" + rest[2:].partition("/")[2]


def _normal(path: str) -> str:
    path = unquote(path)[-MAX_PATH_CHARS:].replace("\\", "/")
    if not path:
        return ""
    path = posixpath.normpath(path)
    if path.startswith("//"):  # POSIX gives two slashes a meaning of their own
        path = path[1:]
    return path[1:] if _DRIVE.match(path) else path


def _in_repository(path: str) -> Iterator[str]:
    """Yield the path in the working tree of a file that is named by its repository."""
    if match := _IN_REPOSITORY.fullmatch(unquote(path[-MAX_PATH_CHARS:])):
        yield quote(f"{match['top']}/{match['file']}", errors="surrogatepass")


def _in_query(query: str) -> Iterator[str]:
    """Yield the values of a query, in JSON or as a form, that look like paths."""
    if not query or len(query) > MAX_QUERY_CHARS:
        return
    for value in _values(query):
        if "/" in value or "\\" in value:
            yield _without_scheme(value)


def _values(query: str) -> list[str]:
    try:
        return list(_strings(json.loads(unquote(query))))
    except (ValueError, RecursionError):
        return [value for _, value in parse_qsl(query)] or [query]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _strings(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in _strings(each))
