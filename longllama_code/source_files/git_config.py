"""Values of git's configuration, as far as ignore rules depend on it.

Git itself is not started: it need not be installed, and a workspace may hold a program of its name.
Read are the system's file, the user's with what they include, and the repository's. Conditional
includes and a worktree's own configuration are not.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from longllama_code.source_files.regular_files import read_regular

MAX_BYTES = 1 << 20
_MAX_INCLUDES = 10
_SECTION = re.compile(r'\s*\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_KEY = re.compile(r"\s*([A-Za-z][\w-]*)[ \t]*(=?)[ \t]*")
_REST = re.compile(r"[^\n]*\n?")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "\n": ""}


def user_files() -> list[Path]:
    """Return the system's and the user's files of configuration, the strongest last."""
    system = [] if os.environ.get("GIT_CONFIG_NOSYSTEM") else [_system_file()]
    if (own := os.environ.get("GIT_CONFIG_GLOBAL")) is not None:
        return [*system, *[Path(own)] * bool(own)]
    home = home_folder()
    folder = user_folder()
    return [
        *system,
        *([folder / "config"] if folder else []),
        *([home / ".gitconfig"] if home else []),
    ]


def user_folder() -> Path | None:
    """Return the folder of the user's files for git; None without a home."""
    home, named = home_folder(), os.environ.get("XDG_CONFIG_HOME")
    if named:
        return Path(named) / "git"
    return None if home is None else home / ".config" / "git"


def home_folder() -> Path | None:
    """Return the user's home; None for a user without one."""
    if home := os.environ.get("HOME"):
        return Path(home)
    with suppress(RuntimeError):
        return Path.home()
    return None


def read_config(path: Path, *, follows_includes: bool, depth: int = 0) -> dict[str, str]:
    """Return the values of a file by `section.key` in lower case; none where it cannot be read."""
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig", "surrogateescape")
    except (OSError, ValueError):
        return {}
    values: dict[str, str] = {}
    for name, value in _entries(text.replace("\r\n", "\n")):
        values[name] = value
        if follows_includes and name == "include.path" and depth < _MAX_INCLUDES:
            included = path.parent / expanded(value)
            values |= read_config(included, follows_includes=True, depth=depth + 1)
    return values


def expanded(value: str) -> Path:
    """Return a path of the configuration, where `~` may stand for a user's home."""
    home = home_folder()
    if value.startswith("~/") and home is not None:
        return home / value[2:]
    with suppress(RuntimeError):
        return Path(value).expanduser()
    return Path(value)


def is_true(value: str) -> bool:
    """Whether a value is one of git's words for true."""
    return value.lower() in ("true", "yes", "on", "1")


def _system_file() -> Path:
    return Path(os.environ.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig")


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and values in their order, up to a line that is wrong."""
    section, position = "", 0
    while position < len(text):
        if found := _SECTION.match(text, position):
            # Only sections without a second name are of interest.
            section, position = "" if found[2] is not None else found[1].lower(), found.end()
        elif found := _KEY.match(text, position):
            value, position = _value(text, found.end()) if found[2] else ("true", found.end())
            if section:
                yield f"{section}.{found[1].lower()}", value
        elif _REST.match(text, position)[0].strip()[:1] in ("", "#", ";"):  # pyright: ignore
            position = _REST.match(text, position).end()  # pyright: ignore
        else:
            return


def _value(text: str, position: int) -> tuple[str, int]:
    """Return the value that begins at a place, and the place behind its line."""
    chars: list[str] = []
    n_kept, is_quoted, is_comment = 0, False, False
    while position < len(text):
        char = text[position]
        position += 1
        if char == "\n":
            break
        if is_comment:
            continue
        if char == '"':
            is_quoted = not is_quoted
            n_kept = len(chars)
        elif char in "#;" and not is_quoted:
            is_comment = True
        elif char == "\\":
            escaped = text[position : position + 1]
            chars.append(_ESCAPES.get(escaped, escaped))
            n_kept, position = len(chars), position + 1
        else:
            chars.append(char)
            n_kept = len(chars) if is_quoted or not char.isspace() else n_kept
    return "".join(chars[:n_kept]), position
