"""Workspaces without the answers of a benchmark, and checks that no answer is left.

An answer is recognised by its passage: the answer with the text around it, up to the next answer.
Copies of a file elsewhere in the repository contain the same passage.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_server.benchmarks.instances import Instance, read_source

BEFORE_CHARS, AFTER_CHARS = 200, 100
"""Characters of a passage before and after its answer: more than similar code has in common."""
MAX_FILE_BYTES = 1 << 26
"""The server reads no file that is larger, whatever its settings."""


@dataclass(frozen=True)
class Passage:
    """Answer with the text around it."""

    instance: str
    before: str
    answer: str
    after: str

    @property
    def with_answer(self) -> str:
        """Original text."""
        return self.before + self.answer + self.after

    @property
    def without_answer(self) -> str:
        """Text without the answer."""
        return self.before + self.after


@dataclass(frozen=True)
class Leak:
    """Answer that is left in a file."""

    instance: str
    file: str

    def __str__(self) -> str:
        return f"the answer of {self.instance} is in {self.file}"


def passages(instances: Sequence[Instance]) -> list[Passage]:
    """Return the passage of each answer. All instances of a repository must be given."""
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
    """Return the text of an instance's file without any of the answers in it."""
    start, end = instance.span
    spans = [other.span for other in others if other.file == instance.file]
    text = instance.before + instance.answer + instance.after
    kept, at = "", 0
    for begin, stop in sorted([(start, end), *spans]):
        kept += text[at : max(at, begin)]
        at = max(at, stop)
    return kept + text[at:]


def copy_tree(tree: Path, target: Path, instances: Sequence[Instance]) -> None:
    """Copy a repository without its answers to a folder that does not exist yet.

    Raises:
        ValueError: a file with answers is a symlink that leads out of the repository.
    """
    ignored = shutil.ignore_patterns(".git")
    shutil.copytree(tree, target, symlinks=True, ignore=ignored)
    for instance in {each.file: each for each in instances}.values():
        write_inside(target, instance.file, without_answers(instance, instances))
    wanted = passages(instances)
    for path in files(target):
        text = changed = read_source(path)
        for passage in wanted:
            changed = changed.replace(passage.with_answer, passage.without_answer)
        if changed != text:
            write_inside(target, path.relative_to(target).as_posix(), changed)


def write_inside(folder: Path, file: str, text: str) -> Path:
    """Write a file below a folder, create its parents, and return its path.

    Raises:
        ValueError: a symlink leads out of the folder.
    """
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file!r} is a link that leads out of its repository.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")
    return path


def leaks(folder: Path, instances: Sequence[Instance]) -> list[Leak]:
    """Return the answers left in a folder. All instances of the repository must be given."""
    wanted = passages(instances)
    found: list[Leak] = []
    for path in files(folder):
        text = read_source(path)
        name = path.relative_to(folder).as_posix()
        found += [Leak(each.instance, name) for each in wanted if each.with_answer in text]
    return found


def leak_of_document(instance: Instance, others: Sequence[Instance], text: str) -> Leak | None:
    """Return the leak of an answer into the document that is opened for it, if there is one."""
    passage = _passage(instance, [each.span for each in others if each.file == instance.file])
    return (
        Leak(instance.id, f"{instance.file}, as it is opened")
        if passage.with_answer in text
        else None
    )


def files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that a server may read, without symlinks."""
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE_BYTES:
                yield path
