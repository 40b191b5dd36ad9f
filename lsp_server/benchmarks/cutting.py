"""Workspaces in which the answers are missing, and the proof that they are.

An answer is found again by its passage: the answer with some of the text around it, as far as no
other answer begins. Copies of a file elsewhere in the repository have the same passage.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_server.benchmarks.instances import Instance, read_source

BEFORE_CHARS, AFTER_CHARS = 200, 100
"""Of a passage around its answer: code that somebody wrote a second time has less in common."""
MOST_FILE_BYTES = 1 << 26
"""Files above that size no server reads."""


@dataclass(frozen=True)
class Passage:
    """An answer in its surroundings."""

    instance: str
    before: str
    answer: str
    after: str

    @property
    def whole(self) -> str:
        """As it was written."""
        return self.before + self.answer + self.after

    @property
    def emptied(self) -> str:
        """Without the answer."""
        return self.before + self.after


@dataclass(frozen=True)
class Leak:
    """An answer that can be read."""

    instance: str
    file: str

    def __str__(self) -> str:
        return f"the answer of {self.instance} stands in {self.file}"


def passages(instances: Sequence[Instance]) -> list[Passage]:
    """The passage of each answer; all instances of the repository must be given."""
    by_file: dict[str, list[Instance]] = {}
    for instance in instances:
        by_file.setdefault(instance.file, []).append(instance)
    return [
        _passage(instance, [other.span for other in by_file[instance.file]])
        for instance in instances
    ]


def _passage(instance: Instance, spans: Sequence[tuple[int, int]]) -> Passage:
    start, end = instance.span
    first = max([0, start - BEFORE_CHARS, *(stop for _, stop in spans if stop <= start)])
    n_after = min([AFTER_CHARS, *(begin - end for begin, _ in spans if begin >= end)])
    return Passage(instance.id, instance.before[first:], instance.answer, instance.after[:n_after])


def without_answers(instance: Instance, others: Sequence[Instance]) -> str:
    """The text of an instance's file, its own answer and those of others in that file missing."""
    start, end = instance.span
    spans = [other.span for other in others if other.file == instance.file]
    text = instance.before + instance.answer + instance.after
    kept, at = "", 0
    for begin, stop in sorted([(start, end), *spans]):
        kept += text[at : max(at, begin)]
        at = max(at, stop)
    return kept + text[at:]


def copy_tree(tree: Path, target: Path, instances: Sequence[Instance]) -> None:
    """Copy a repository to a folder that does not exist yet, all of its answers missing.

    Raises:
        ValueError: a link leads out of the repository to a file that answers stand in.
    """
    ignored = shutil.ignore_patterns(".git")
    shutil.copytree(tree, target, symlinks=True, ignore=ignored)
    for instance in {each.file: each for each in instances}.values():
        write_inside(target, instance.file, without_answers(instance, instances))
    wanted = passages(instances)
    for path in files(target):
        text = emptied = read_source(path)
        for passage in wanted:
            emptied = emptied.replace(passage.whole, passage.emptied)
        if emptied != text:
            write_inside(target, path.relative_to(target).as_posix(), emptied)


def write_inside(folder: Path, file: str, text: str) -> Path:
    """Write a file of a folder, which may need folders of its own; its path.

    Raises:
        ValueError: a link leads out of the folder.
    """
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file!r} is a link that leads out of its repository.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")
    return path


def leaks(folder: Path, instances: Sequence[Instance]) -> list[Leak]:
    """The answers that can be read in a folder; all instances of the repository must be given."""
    wanted = passages(instances)
    found: list[Leak] = []
    for path in files(folder):
        text = read_source(path)
        name = path.relative_to(folder).as_posix()
        found += [Leak(each.instance, name) for each in wanted if each.whole in text]
    return found


def leak_of_document(instance: Instance, others: Sequence[Instance], text: str) -> Leak | None:
    """The answer of an instance, where it stands in the document that is opened for it."""
    passage = _passage(instance, [each.span for each in others if each.file == instance.file])
    return Leak(instance.id, f"{instance.file}, as it is opened") if passage.whole in text else None


def files(folder: Path) -> Iterator[Path]:
    """The files of a folder that a server may read, links left out."""
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_FILE_BYTES:
                yield path
