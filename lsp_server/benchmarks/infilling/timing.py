"""Delays of a system after what a person does between two requests: types, or saves a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from longllama_code.definitions.layout import path_distance
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.paths import files, read_source
from lsp_server.benchmarks.systems.system import Answer, System

KEYS = "xyz_"
"""Keys to type: one of them is not what the suggestion begins with."""
ADDITION = "\n\n{comment} {number}: this line was added while the file was open elsewhere.\n"
_COMMENTS = {"python": "#", "ruby": "#", "shellscript": "#"}


@dataclass(frozen=True)
class Delays:
    """Seconds until the suggestions after changes; None if they were not measured."""

    after_key: float | None
    """After one more key that the last suggestion did not foresee."""
    after_change: float | None
    """After such a key, when another file of the repository was saved with a new text."""


async def time_changes(system: System, instance: Instance, answer: Answer, folder: Path) -> Delays:
    """Measure the delays at a cursor where the system has just answered.

    The other file is the nearest one of the same language. It keeps its new text, which has one
    comment more.

    Args:
        system: the system, with the instance's document open.
        instance: the instance.
        answer: the answer to its request.
        folder: the workspace.
    """
    at = len(instance.before)
    typed = await _typed(system, at, answer)
    other = next(_nearest(folder, instance.file), None)
    if other is None:
        return Delays(round(typed.seconds, 4), None)
    text = read_source(folder / other)
    comment = _COMMENTS.get(instance.language, "//")
    await system.save_other(other, text + ADDITION.format(comment=comment, number=at))
    changed = await _typed(system, at + 1, typed)
    return Delays(round(typed.seconds, 4), round(changed.seconds, 4))


async def _typed(system: System, at: int, before: Answer) -> Answer:
    """Type a key that was not foreseen, and return the answer to the request after it."""
    key = next(key for key in KEYS if not before.text.startswith(key))
    await system.change(at, at, key)
    return await system.complete(at + 1)


def _nearest(folder: Path, file: str) -> Iterator[str]:
    """Yield other files with the same suffix, those nearest in the folder tree first."""
    names = [path.relative_to(folder).as_posix() for path in files(folder)]
    suffix = PurePosixPath(file).suffix
    same = [name for name in names if name != file and PurePosixPath(name).suffix == suffix]
    yield from sorted(same, key=lambda name: (path_distance(file, name), name))
