"""Names, paths and files that somebody else gives. None of them may lead out of its folder."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from longllama_code.source_files.languages import language_of

MAX_FILE_BYTES = 1 << 26
"""The server reads no file that is larger, whatever its settings."""


def repository_name(name: str) -> str:
    """Return a repository's name if it can be the name of a folder.

    Raises:
        ValueError: it cannot.
    """
    if not name or name in (".", "..") or any(sign in name for sign in "/\\\0"):
        raise ValueError(f"{name!r} is no repository's name")
    return name


def path_inside(text: str) -> str:
    """Return a path relative to its repository, without ``.`` and doubled slashes.

    Raises:
        ValueError: it is absolute, leads out on any system, or lies in a ``.git`` folder, whose
            configuration and hooks would name programs to run.
    """
    path = str(PurePosixPath(text))
    # Windows' rules split at both slashes, and know drives. They are asked of what is returned:
    # "./C:x" lies below the folder, and "C:x" does not.
    windows = PureWindowsPath(path)
    parts = {part.casefold() for part in windows.parts}
    if not parts or windows.drive or windows.root or "\0" in path or parts & {"..", ".git"}:
        raise ValueError(f"{text!r} is no path in a repository")
    return path


def language_id(file: str) -> str:
    """Return the language identifier of a file by its name, as LSP has it."""
    return language_of(PurePosixPath(file).name) or "plaintext"


def read_source(path: Path) -> str:
    """Return the text of a source file, with universal newlines, as offsets count it."""
    return path.read_text("utf-8", errors="replace")


def read_inside(folder: Path, file: str) -> str:
    """Return the text of a file below a folder.

    Raises:
        ValueError: a symlink leads out of the folder, or it is no regular file, or too large.
        OSError: there is no such file.
    """
    path = inside(folder, file)
    if path.stat() and not is_readable(path):
        raise ValueError(f"{file!r} is no regular file of at most {MAX_FILE_BYTES >> 20} MiB")
    return read_source(path)


def inside(folder: Path, file: str) -> Path:
    """Return the path of something below a folder.

    Raises:
        ValueError: the path, or a symlink, leads out of the folder.
    """
    path = folder / file
    if "\0" in file or ".." in PurePosixPath(file).parts or not leads_inside(folder, path):
        raise ValueError(f"{file!r} is a path or a link that leads out of its repository")
    return path


def leads_inside(folder: Path, path: Path) -> bool:
    """Whether a path lies in a folder, with its symlinks followed. A loop of links does not."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # the latter before Python 3.13, for a loop
        return False


def write_inside(folder: Path, file: str, content: str | bytes) -> Path:
    """Write a file below a folder, create its parents, and return its path.

    Raises:
        ValueError: the path, or a symlink, leads out of the folder.
    """
    path = inside(folder, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    is_text = isinstance(content, str)
    path.write_bytes(content.encode("utf-8", errors="replace") if is_text else content)
    return path


def files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that a server may read, without symlinks."""
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(root, name)
            if not path.is_symlink() and is_readable(path):
                yield path


def links(folder: Path) -> Iterator[Path]:
    """Yield the symlinks below a folder, to files and to folders."""
    for root, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            path = Path(root, name)
            if path.is_symlink():
                yield path


def remove_outward_links(folder: Path) -> None:
    """Remove the symlinks below a folder that lead out of it."""
    for path in list(links(folder)):
        if not leads_inside(folder, path):
            path.unlink()


def is_readable(path: Path) -> bool:
    """Whether a path leads to a file, no pipe or device, of a size that the server would read."""
    try:
        return path.is_file() and path.stat().st_size <= MAX_FILE_BYTES
    except OSError:
        return False


def small_text(path: Path) -> str:
    """Return the text of a file that the server would read; nothing if there is no such file."""
    return read_source(path) if is_readable(path) else ""


def checked_files(named_texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return texts by path, if they can be written to one folder. The last text of a path wins.

    Raises:
        ValueError: a path leads out of the folder, or is a file and a folder at once.
    """
    files = {path_inside(path): text for path, text in named_texts}
    for path in files:
        if clash := next((up for up in PurePosixPath(path).parents if str(up) in files), None):
            raise ValueError(f"{str(clash)!r} is a file and the folder of {path!r}")
    return files
