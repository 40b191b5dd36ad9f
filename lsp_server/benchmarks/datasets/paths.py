"""Names, paths and source files that a data set gives. None of them may lead out of its folder."""

from collections.abc import Iterable
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
    # Windows' rules split at both slashes, and know drives.
    path = PureWindowsPath(text)
    parts = [part.casefold() for part in path.parts]
    if not parts or path.drive or path.root or "\0" in text or not {"..", ".git"}.isdisjoint(parts):
        raise ValueError(f"{text!r} is no path in a repository")
    return str(PurePosixPath(text))


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
    size = path.stat().st_size
    if not path.is_file() or size > MAX_FILE_BYTES:
        raise ValueError(f"{file!r} is no regular file of at most {MAX_FILE_BYTES >> 20} MiB")
    return read_source(path)


def inside(folder: Path, file: str) -> Path:
    """Return the path of something below a folder.

    Raises:
        ValueError: a symlink leads out of the folder.
    """
    path = folder / file
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
    except RuntimeError as error:  # A loop of links, until Python 3.12.
        raise ValueError(f"{file!r} is a link to itself") from error
    if not is_inside:
        raise ValueError(f"{file!r} is a link that leads out of its folder")
    return path


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
