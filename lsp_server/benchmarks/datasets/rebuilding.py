"""A benchmark's repositories and instances, rebuilt from facts and git directories.

Facts are published in place of other people's code: which repository, commit and file, and where in
it the answer is. Each row has ``instance_id``, ``source`` (``owner/name``), ``repository`` (name of
its folder), ``commit``, ``file``, ``offset`` and ``length`` in code points, and may have marks of
published runs. What is written, `cross_code_eval.load` reads:

- ``repos/REPOSITORY/``: the files of the commit
- ``commits/REPOSITORY.json``: the commit, and its day; written after its files
- ``instances.jsonl``: the rows of the facts, with ``ground_truth`` and ``since``
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from lsp_server.benchmarks.datasets.cross_code_eval import REBUILT, TREES
from lsp_server.benchmarks.datasets.fields import message, number_field, text_field
from lsp_server.benchmarks.datasets.tables import rows
from lsp_server.benchmarks.git.borrowing import borrowed
from lsp_server.benchmarks.git.directories import git_directory
from lsp_server.benchmarks.git.fetching import address, check_source, check_template, fetched
from lsp_server.benchmarks.git.history import commit_time
from lsp_server.benchmarks.git.running import GitError, check_commit
from lsp_server.benchmarks.git.trees import write_tree
from lsp_server.benchmarks.paths import (
    MAX_FILE_BYTES,
    path_inside,
    read_inside,
    repository_name,
)

Json = dict[str, Any]

UNFINISHED = "unfinished"
"""Folder of what is being written; it is removed at the next start, and at the end."""


@dataclass(frozen=True)
class Origin:
    """Commit from which a repository is rebuilt."""

    source: str
    """Owner and name, ``owner/name``."""
    commit: str


Facts = Mapping[str, tuple[Origin, Sequence[Json]]]
"""Commit and rows of each repository, by the name of its folder."""


@dataclass
class Rebuilt:
    """What was rebuilt, and what was not."""

    instances: int = 0
    repositories: int = 0
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    """Why something is missing, by the name of the repository or of the instance."""


def rebuild(
    facts: Path,
    output: Path,
    *,
    git_directories: Path | None = None,
    clone_from: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Rebuilt:
    """Write repositories and instances to a folder. What it has already is kept.

    Args:
        facts: a table.
        output: the folder.
        git_directories: folder in which git directories are looked for, as `git_directory` says.
        clone_from: template of addresses, with ``{owner}`` and ``{name}``, from which commits are
            fetched that no git directory has. Nothing is fetched without it.
        report: is called with a line about each repository.

    Raises:
        ValueError: the facts are broken (file and row are named), or the folder is in use.
    """
    if clone_from is not None:
        check_template(clone_from)
    by_repository = read_facts(facts)
    output.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(output / "rebuild.lock", timeout=0):
            shutil.rmtree(output / UNFINISHED, ignore_errors=True)
            return _Rebuilding(output, git_directories, clone_from, report).run(by_repository)
    except Timeout as error:
        raise ValueError(f"{output} is being rebuilt by another process; wait for it.") from error


def read_facts(facts: Path) -> Facts:
    """Return commit and rows of each repository, by the name of its folder.

    Raises:
        ValueError: a row is broken, or names another commit than those before it; the message names
            file and row.
    """
    found: dict[str, tuple[Origin, list[Json]]] = {}
    for number, row in rows(facts):
        try:
            origin = _origin(row)
            known, mine = found.setdefault(row["repository"], (origin, []))
            if known != origin:
                raise ValueError(
                    f"{row['repository']!r} is of {known.source} at {known.commit} too"
                )
        except (KeyError, ValueError) as error:
            raise ValueError(f"{facts}:{number} is no fact: {message(error)}.") from error
        mine.append(row)
    return found


def _origin(row: Mapping[str, Any]) -> Origin:
    repository_name(text_field(row, "repository"))
    path_inside(text_field(row, "file"))
    text_field(row, "instance_id")
    if number_field(row, "offset") < 0 or number_field(row, "length") < 1:
        raise ValueError(f"no answer can be at {row['offset']}, {row['length']} long")
    source = check_source(text_field(row, "source"))
    return Origin(source, check_commit(text_field(row, "commit")))


class _Rebuilding:
    def __init__(
        self,
        output: Path,
        git_directories: Path | None,
        clone_from: str | None,
        report: Callable[[str], None],
    ) -> None:
        self._output = output
        self._git_directories = git_directories
        self._clone_from = clone_from
        self._report = report
        self._rebuilt = Rebuilt()

    def run(self, by_repository: Facts) -> Rebuilt:
        lines: list[str] = []
        for repository, (origin, facts) in sorted(by_repository.items()):
            lines += self._instances_of(repository, origin, facts)
        _write(self._output / REBUILT, "".join(lines))
        shutil.rmtree(self._output / UNFINISHED, ignore_errors=True)
        return self._rebuilt

    def _instances_of(self, repository: str, origin: Origin, facts: Sequence[Json]) -> list[str]:
        try:
            since = self._day_of_tree(repository, origin)
        except (ValueError, OSError) as error:
            self._leave_out(repository, str(error))
            return []
        self._rebuilt.repositories += 1
        self._report(f"{repository}: {len(facts)} instances")
        return list(self._lines(repository, since, facts))

    def _lines(self, repository: str, since: date, facts: Sequence[Json]) -> Iterator[str]:
        for row in facts:
            try:
                text = read_inside(self._output / TREES / repository, row["file"])
            except (ValueError, OSError) as error:
                self._leave_out(row["instance_id"], str(error))
                continue
            start, end = row["offset"], row["offset"] + row["length"]
            if end > len(text):
                self._leave_out(row["instance_id"], f"{row['file']!r} ends before {end}")
                continue
            self._rebuilt.instances += 1
            answer = {"ground_truth": text[start:end], "since": since.isoformat()}
            yield json.dumps(row | answer) + "\n"

    def _leave_out(self, name: str, why: str) -> None:
        self._rebuilt.left_out[name] = why
        self._report(f"left out {name}: {why}")

    def _day_of_tree(self, repository: str, origin: Origin) -> date:
        """Return the day of a repository's commit, whose tree is written if it is not there."""
        tree = self._output / TREES / repository
        record = self._output / "commits" / f"{repository}.json"
        found = _recorded(record)
        if tree.is_dir() and found.get("commit") == origin.commit:
            return date.fromisoformat(str(found["since"]))
        new = self._output / UNFINISHED / repository
        since = self._export(origin, new)
        record.unlink(missing_ok=True)
        if tree.exists():
            shutil.rmtree(tree)
        tree.parent.mkdir(exist_ok=True)
        new.replace(tree)
        told = {"source": origin.source, "commit": origin.commit, "since": since.isoformat()}
        _write(record, json.dumps(told) + "\n")
        return since

    def _export(self, origin: Origin, new: Path) -> date:
        """Write the files of a commit, from the first place that has it, and return its day."""
        where = self._git_directories or "any folder: give --git-dirs or --clone-from"
        problem = GitError(f"no git directory of {origin.source} in {where}")
        for place in self._places(origin):
            shutil.rmtree(new, ignore_errors=True)
            try:
                with place as git:
                    since = commit_time(git, origin.commit).date()
                    if missing := write_tree(git, origin.commit, new, MAX_FILE_BYTES):
                        raise GitError(f"{missing[0]!r} and other files are missing")
                    return since
            except GitError as error:
                problem = error
        raise problem

    def _places(self, origin: Origin) -> Iterator[AbstractContextManager[Path]]:
        folder = self._git_directories
        directory = git_directory(folder, origin.source) if folder else None
        if directory is not None:
            yield borrowed(directory, origin.commit)
        if self._clone_from is not None:
            parent = self._output / UNFINISHED
            parent.mkdir(exist_ok=True)
            yield fetched(address(self._clone_from, origin.source), origin.commit, parent)


def _recorded(record: Path) -> Json:
    try:
        value: object = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("Json", value) if isinstance(value, dict) else {}


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text, "utf-8")
    new.replace(path)
