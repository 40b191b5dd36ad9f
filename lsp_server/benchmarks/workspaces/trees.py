"""Copies of a repository without the answers of a benchmark.

A repository's files are not trusted: links that lead out of it are not followed, and are left out
of the copy.
"""

import codecs
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.datasets.paths import MAX_FILE_BYTES
from lsp_server.benchmarks.workspaces.passages import (
    Passage,
    passages,
    plain_ends,
    without_answers,
)

_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def copy_tree(
    source: Path | Mapping[str, str], target: Path, instances: Sequence[Instance]
) -> None:
    """Copy a repository without its answers to a folder that does not exist yet.

    Args:
        source: folder of the repository, or the texts of its files by path.
        target: the new folder.
        instances: all instances of the repository.

    Raises:
        ValueError: a file with answers is a symlink that leads out of the repository, or a path
            leads out of it.
    """
    if isinstance(source, Path):
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        _check_links(target, instances)
        _remove_outward_links(target)
    else:
        target.mkdir(parents=True)
        for file, text in source.items():
            write_inside(target, file, text)
    for instance in {each.file: each for each in instances}.values():
        write_inside(target, instance.file, without_answers(instance, instances))
    wanted = passages(instances)
    for path in files(target):
        _remove_answers(target, path, wanted)


def write_inside(folder: Path, file: str, text: str) -> Path:
    """Write a file below a folder, create its parents, and return its path.

    Raises:
        ValueError: the path, or a symlink, leads out of the folder.
    """
    path = folder / file
    if ".." in PurePosixPath(file).parts or "\0" in file or not leads_inside(folder, path):
        raise ValueError(f"{file!r} is a path or a link that leads out of its repository.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", errors="replace", newline="\n")
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


def leads_inside(folder: Path, path: Path) -> bool:
    """Whether a path lies in a folder, with its symlinks followed. A loop of links does not."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # the latter before Python 3.13, for a loop
        return False


def is_readable(path: Path) -> bool:
    """Whether a path leads to a file, no pipe or device, of a size that the server would read."""
    try:
        return path.is_file() and path.stat().st_size <= MAX_FILE_BYTES
    except OSError:
        return False


def readings(path: Path) -> list[str]:
    r"""Return a file's text in every encoding that it may be in, with ``\n`` for all line ends.

    UTF-8 is the first, whatever the file contains. Text in UTF-16 and UTF-32 is recognised by its
    byte order mark, or by zero bytes; bytes that are no UTF-8 are read as Windows-1252, too.
    """
    data = path.read_bytes()
    encodings = ["utf-8-sig"]
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if marked is not None:
        encodings.append(marked)
    elif b"\0" in data:
        encodings += ["utf-16-le", "utf-16-be"]
    texts = [data.decode(name, "replace") for name in encodings]
    if "\N{REPLACEMENT CHARACTER}" in texts[0]:
        texts.append(data.decode("cp1252", "replace"))
    return list(map(plain_ends, texts))


def _remove_answers(target: Path, path: Path, wanted: Sequence[Passage]) -> None:
    """Write a file without the answers in it, in UTF-8, if there are any."""
    for text in readings(path):
        cleaned = _cleaned(text, wanted)
        if cleaned != text:
            write_inside(target, path.relative_to(target).as_posix(), cleaned)
            return


def _cleaned(text: str, wanted: Sequence[Passage]) -> str:
    """Return a text without the answers; the removal of one may spell another one again."""
    while found := [passage for passage in wanted if passage.is_in(text)]:
        for passage in found:
            text = passage.removed_from(text)
    return text


def _check_links(target: Path, instances: Sequence[Instance]) -> None:
    for file in {each.file for each in instances}:
        if not leads_inside(target, target / file):
            raise ValueError(f"{file!r} is a link that leads out of its repository.")


def _remove_outward_links(target: Path) -> None:
    for path in list(links(target)):
        if not leads_inside(target, path):
            path.unlink()
