"""Source trees as plain texts: what training reads, and what evaluation asks about."""

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
        """The tree without some of its files."""
        left_out = set(paths)
        kept = {path: text for path, text in self.texts.items() if path not in left_out}
        return SourceTree(self.name, kept)


def read_tree(root: Path, suffixes: Iterable[str] = (".py",), name: str = "") -> SourceTree:
    """The files below a folder that are worth reading: neither tiny, huge, hidden nor repeated.

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
    """The texts of those files that are worth reading; the others are not read if that can be told.

    Args:
        readers: what reads each file, by its path relative to the root.
        suffixes: the endings that are wanted, with their dots.
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
    """Some files of a tree, at least one, and the rest: to be asked about, and remembered."""
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
    """The text of a file; None where it is no UTF-8."""
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
