"""Copies of a repository without the answers of a benchmark.

A repository's files are not trusted: links that lead out of it are not followed, and are left out
of the copy.
"""

import codecs
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.paths import files, inside, remove_outward_links, write_inside
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
        for instance in instances:
            inside(target, instance.file)
        remove_outward_links(target)
    else:
        target.mkdir(parents=True)
        for file, text in source.items():
            write_inside(target, file, text)
    for instance in {each.file: each for each in instances}.values():
        write_inside(target, instance.file, without_answers(instance, instances))
    wanted = passages(instances)
    for path in files(target):
        _remove_answers(target, path, wanted)


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
