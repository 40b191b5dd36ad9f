"""Checks that no answer of a benchmark is left: on disk, in the document, or in a prompt.

`stored_leaks` searches what an engine keeps, `memory_report` what a server has in memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.paths import files, is_readable, leads_inside, links
from lsp_server.benchmarks.workspaces.passages import passage_of, passages, plain_ends
from lsp_server.benchmarks.workspaces.trees import readings


@dataclass(frozen=True)
class Leak:
    """Answer that is left somewhere."""

    instance: str
    place: str
    """File, or another place for people to read."""

    def __str__(self) -> str:
        return f"the answer of {self.instance} is in {self.place}"


def leaks(folder: Path, instances: Sequence[Instance]) -> list[Leak]:
    """Return the answers left in a folder's files. All instances of the repository must be given.

    Links to files are followed.

    Raises:
        ValueError: a link to a folder leads out of it, so that not everything can be searched.
    """
    wanted = passages(instances)
    found: list[Leak] = []
    for path in _searched(folder):
        texts = readings(path)
        name = path.relative_to(folder).as_posix()
        found += [Leak(each.instance, name) for each in wanted if any(map(each.is_in, texts))]
    return found


def leak_of_document(instance: Instance, others: Sequence[Instance], text: str) -> Leak | None:
    """Return the leak of an answer into the document that is opened for it, if there is one.

    Args:
        instance: the instance.
        others: all instances of the repository.
        text: text of the document.
    """
    is_there = passage_of(instance, others).is_in(plain_ends(text))
    return Leak(instance.id, f"{instance.file}, as it is opened") if is_there else None


def leak_in_prompt(
    instance: Instance, others: Sequence[Instance], texts: Iterable[str]
) -> Leak | None:
    """Return the leak of an answer into what its prompt shows of other files, if there is one.

    The answer is recognised by at least 40 characters around it; the same line alone may be in
    another file as well.

    Args:
        instance: the instance.
        others: all instances of the repository.
        texts: parts of files in the prompt.
    """
    passage = passage_of(instance, others)
    is_there = any(passage.is_partly_in(plain_ends(text)) for text in texts)
    return Leak(instance.id, "its prompt") if is_there else None


def _searched(folder: Path) -> Iterator[Path]:
    """Yield files, and links to files wherever they are."""
    yield from files(folder)
    for path in links(folder):
        if path.is_dir() and not leads_inside(folder, path):
            name = path.relative_to(folder).as_posix()
            raise ValueError(f"{name!r} is a link that leads out of its repository.")
        if is_readable(path):
            yield path
