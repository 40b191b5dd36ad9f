"""Typing all sessions under all conditions.

One workspace exists at a time. Each condition and person gets one of its own and a new system, so
that none is answered from what was typed before by another. Every session has the same text, the
same rhythm and the same person under all conditions.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from lsp_server.benchmarks.git.borrowing import borrowed
from lsp_server.benchmarks.git.trees import write_tree
from lsp_server.benchmarks.paths import files, write_inside
from lsp_server.benchmarks.systems.conditions import Condition
from lsp_server.benchmarks.systems.replacement import work_through
from lsp_server.benchmarks.systems.system import Loaded, System
from lsp_server.benchmarks.typing.commits import MAX_WRITTEN_BYTES, is_in_document, leaks
from lsp_server.benchmarks.typing.person import Person
from lsp_server.benchmarks.typing.rhythm import count_keys
from lsp_server.benchmarks.typing.rows import Row, RowFile
from lsp_server.benchmarks.typing.session import Replay, Session
from lsp_server.benchmarks.typing.typist import Typist
from lsp_server.benchmarks.workspaces.training_cutoff import UNKNOWN, TrainingData


@runtime_checkable
class CountsCpuTime(Protocol):
    """System that tells the CPU time of its processes."""

    def cpu_seconds(self) -> float | None:
        """Return the CPU time since the processes began; None if it cannot be told."""
        ...


@dataclass(frozen=True)
class Side:
    """One condition with one person."""

    condition: Condition
    person: Person


async def run_typing(
    replays: Sequence[Replay],
    conditions: Sequence[Condition],
    people: Sequence[Person],
    rows: RowFile,
    folder: Path,
    blank: Row,
    progress: Callable[[str], None] = lambda _: None,
    training: TrainingData = UNKNOWN,
) -> None:
    """Type every session that has no row yet, and add its row.

    Args:
        replays: sessions of each repository.
        conditions: the systems, and what they see of the repository.
        people: the simulated people, one for each policy.
        rows: file of the rows. A session whose row has an error is typed again.
        folder: parent folder of workspaces.
        blank: row with the fields that all rows have in common.
        progress: called with a line for each row.
        training: what is known of the model's training data.
    """
    done = {key for key, row in rows.rows().items() if row.error is None}
    sides = [Side(condition, person) for condition in conditions for person in people]
    n_all = len(sides) * sum(len(replay.sessions) for replay in replays)

    def record(row: Row) -> None:
        rows.add(row)
        done.add(row.key)
        progress(f"{len(done)}/{n_all} {describe(row)}")

    for replay in replays:
        for side in sides:
            mine = replace(blank, condition=side.condition.name, person=side.person.policy)
            todo = [each for each in replay.sessions if mine.of(each).key not in done]
            if todo:
                with tempfile.TemporaryDirectory(dir=folder) as parent:
                    workspace = Path(parent, replay.repository.short_name)
                    await SideRun(side, replay, workspace, mine, record, training).run(todo)


def describe(row: Row) -> str:
    """Return a row as a line for people."""
    outcome = row.error or f"{row.saved} of {row.characters} characters saved"
    return f"{row.condition}, {row.person}: {row.session}: {outcome}"


class SideRun:
    """Run of one repository's sessions under one condition, by one person.

    Args:
        side: the condition and the person.
        replay: the sessions, and the commit of the workspace.
        folder: the workspace, named like the repository; it must not exist yet.
        blank: row with the fields that all rows have in common.
        record: called with each row.
        training: what is known of the model's training data.
    """

    def __init__(
        self,
        side: Side,
        replay: Replay,
        folder: Path,
        blank: Row,
        record: Callable[[Row], None],
        training: TrainingData = UNKNOWN,
    ) -> None:
        self._condition, self._person = side.condition, side.person
        self._replay, self._folder = replay, folder
        self._blank, self._record, self._training = blank, record, training

    async def run(self, todo: Sequence[Session]) -> None:
        """Type some sessions. A system that ends is replaced by another one."""

        async def work(system: System, session: Session) -> None:
            self._record(await self._typed(system, session))

        try:
            self._prepare()
        except (OSError, ValueError) as error:
            for session in todo:
                self._fail(session, error)
            return
        await work_through(self._condition, self._folder, todo, work, self._fail)

    def _prepare(self) -> None:
        """Create the workspace.

        Raises:
            ValueError: a text to type is in it, or it is too large.
        """
        self._folder.mkdir(parents=True)
        if not self._condition.shows_repository:
            return
        base = self._replay.base
        with borrowed(self._replay.repository.git_dir, base) as repository:
            write_tree(repository, base, self._folder, MAX_WRITTEN_BYTES)
        if found := leaks(self._replay.sessions, files_below(self._folder)):
            raise ValueError("; ".join(found))

    async def _typed(self, system: System, session: Session) -> Row:
        """Open a document, type, and close it again; return the row.

        Raises:
            ValueError: the text to type is in the document already.
        """
        if is_in_document(session):
            raise ValueError(f"the text of {session.id} is in the document that is opened.")
        if not self._condition.shows_repository:
            write_inside(self._folder, session.file, session.opened)
        loaded = await system.open(session.file, session.opened)
        try:
            typist = Typist(system, session, self._person)
            cpu, started = _cpu_seconds(system), time.perf_counter()
            await typist.type()
            seconds, cpu_after = time.perf_counter() - started, _cpu_seconds(system)
        finally:
            await system.close()
        row = self._row(session, typist, loaded)
        spent = None if cpu is None or cpu_after is None else round(cpu_after - cpu, 3)
        return replace(row, seconds=round(seconds, 3), cpu_seconds=spent)

    def _row(self, session: Session, typist: Typist, loaded: Loaded) -> Row:
        return replace(
            self._blank.of(session, self._training),
            characters=count_keys(session.typed),
            pressed=typist.n_pressed,
            index_seconds=round(loaded.seconds, 3),
            files=loaded.files,
            tokens=loaded.tokens,
            engine=loaded.engine,
            keys=tuple(typist.keys),
        )

    def _fail(self, session: Session, error: Exception) -> None:
        row = self._blank.of(session, self._training)
        self._record(replace(row, error=f"{type(error).__name__}: {error}"))


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the paths and contents of the files below a folder."""
    for path in files(folder):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def _cpu_seconds(system: System) -> float | None:
    return system.cpu_seconds() if isinstance(system, CountsCpuTime) else None
