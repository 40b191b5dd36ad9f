"""Source trees as plain texts, for training and evaluation."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

MIN_FILE_CHARS = 400
MAX_FILE_CHARS = 120_000
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-info"})


@dataclass(frozen=True)
class SourceTree:
    """The files of one repository or package.

    ``texts`` maps each file's path, relative to the root and with slashes, to its text.
    """

    name: str
    texts: Mapping[str, str]

    def without(self, paths: Iterable[str]) -> SourceTree:
        """Return the tree without some of its files."""
        left_out = set(paths)
        kept = {path: text for path, text in self.texts.items() if path not in left_out}
        return SourceTree(self.name, kept)


def read_tree(root: Path, suffixes: Iterable[str] = (".py",), name: str = "") -> SourceTree:
    """Return the files below a folder that are neither tiny, huge, hidden nor repeated.

    Raises:
        OSError: the folder cannot be read.
    """
    files = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    readers: dict[PurePath, Callable[[], bytes]]
    readers = {relative: path.read_bytes for relative, path in files.items()}
    return SourceTree(name or root.resolve().name, worth_reading(readers, suffixes))


def worth_reading(
    readers: Mapping[PurePath, Callable[[], bytes]], suffixes: Iterable[str]
) -> dict[str, str]:
    """Return the texts of files worth reading; others are not even read if possible.

    Args:
        readers: reader of each file, by its path relative to the root.
        suffixes: suffixes to include, with their dots.
    """
    wanted = tuple(suffixes)
    texts: dict[str, str] = {}
    seen: set[str] = set()
    for relative in sorted(readers):
        if relative.suffix not in wanted or _is_skipped(relative):
            continue
        text = _decode(readers[relative]())
        if text is not None and MIN_FILE_CHARS <= len(text) <= MAX_FILE_CHARS and text not in seen:
            seen.add(text)
            texts[relative.as_posix()] = text
    return texts


def hold_out(tree: SourceTree, share: float, rng: random.Random) -> tuple[SourceTree, SourceTree]:
    """Split a tree's files into held-out ones, at least one, and the others."""
    paths = sorted(tree.texts)
    rng.shuffle(paths)
    held = set(paths[: max(1, round(share * len(paths)))])
    return tree.without(set(paths) - held), tree.without(held)


def _is_skipped(relative: PurePath) -> bool:
    return any(
        part.startswith(".") or part in SKIPPED_FOLDERS or part.endswith(".dist-info")
        for part in relative.parts
    )


def _decode(data: bytes) -> str | None:
    """Return the text of a file; None if it is no UTF-8."""
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
