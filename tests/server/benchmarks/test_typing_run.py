"""Typing: runs of all conditions and people, and their rows on disk."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date

import pytest

from lsp_server.benchmarks.systems.conditions import Condition
from lsp_server.benchmarks.systems.system import SystemGoneError
from lsp_server.benchmarks.typing.person import POLICIES, Person
from lsp_server.benchmarks.typing.rhythm import count_keys
from lsp_server.benchmarks.typing.rows import Row, RowFile
from lsp_server.benchmarks.typing.run import run_typing
from lsp_server.benchmarks.typing.session import Replay
from lsp_server.benchmarks.typing.typist import Key
from lsp_server.benchmarks.workspaces.training_cutoff import UNKNOWN, TrainingData
from tests.server.benchmarks.git_repository import AREA, SHAPES, GitRepository
from tests.server.benchmarks.written_system import FAST, WrittenSystem, perfect


@pytest.fixture
def replay(tmp_path):
    """Two sessions of one real repository: a method, then a function in another file."""
    repo = GitRepository(tmp_path / "shapes")
    repo.commit_three()
    return repo.replay()


class Bench:
    """A run of written systems, which notes the workspaces that they saw."""

    def __init__(self, replays, folder):
        self.replays, self.folder, self.seen, self.lines = replays, folder, [], []
        self.training = UNKNOWN
        self.work = folder / "work"
        self.work.mkdir()

    def condition(self, name, answer_of, **fields):
        """Return a condition whose system answers by session: ``answer_of(file)``."""

        @asynccontextmanager
        async def opened(workspace):
            files = {path.name: path.read_text() for path in sorted(workspace.rglob("*.py"))}
            self.seen.append((name, workspace.name, files))
            system = WrittenSystem(lambda text, offset: answer_of(system.file)(text, offset))
            yield system

        return Condition(name, opened, **fields)

    def run(self, *conditions, people=("whole",), run="one"):
        rows = RowFile(self.folder / "rows.jsonl", {"run": run})
        people = [Person(policy, FAST) for policy in people]
        blank = Row("", "", "", "", "code1")
        asyncio.run(
            run_typing(
                self.replays,
                conditions,
                people,
                rows,
                self.work,
                blank,
                self.lines.append,
                self.training,
            )
        )
        return rows.rows()


@pytest.fixture
def bench(replay, tmp_path):
    return Bench([replay], tmp_path)


def test_all_conditions_and_people_type_the_same_keys(bench, replay):
    by_file = {each.file: each for each in replay.sessions}
    good = bench.condition("good", lambda file: perfect(by_file[file]))
    none = bench.condition("none", lambda _: lambda *_: "")
    rows = bench.run(good, none, people=POLICIES)
    assert len(rows) == 2 * 2 * 2
    for row in rows.values():
        session = next(each for each in replay.sessions if each.id == row.session)
        assert row.error is None
        assert (row.since, row.language) == (session.date.isoformat(), "python")
        assert row.characters == count_keys(session.typed)
        assert row.saved == (row.characters - 2 if row.condition == "good" else 0)
        assert (row.files, row.tokens, row.engine) == (1, 10, "written")
    assert len(bench.lines) == 8
    assert list(bench.work.iterdir()) == []  # no workspace is left


def test_each_system_sees_the_repository_before_all_sessions(bench):
    none = bench.condition("none", lambda _: lambda *_: "")
    bench.run(none, people=POLICIES)
    before = {"shapes.py": SHAPES, "uses.py": "import shapes\n"}
    assert bench.seen == [("none", "shapes", before)] * 2


def test_without_the_repository_the_workspace_begins_empty(bench):
    alone = bench.condition("alone", lambda _: lambda *_: "", shows_repository=False)
    rows = bench.run(alone)
    assert bench.seen == [("alone", "shapes", {})]
    assert all(row.error is None for row in rows.values())


def test_rows_say_whether_the_commit_was_public_before_the_training(bench):
    bench.training = TrainingData(date(2024, 1, 3), date(2024, 1, 3), "")
    rows = bench.run(bench.condition("none", lambda _: lambda *_: ""))
    assert [(row.since, row.published) for row in rows.values()] == [
        ("2024-01-03", "before"),
        ("2024-01-04", "after"),
    ]


def test_a_planted_text_is_found_and_nothing_is_typed(replay, tmp_path):
    planted = Replay(replay.repository, replay.sessions[0].commit, replay.sessions)
    bench = Bench([planted], tmp_path)
    rows = bench.run(bench.condition("none", lambda _: lambda *_: ""))
    assert bench.seen == []
    assert {row.error for row in rows.values()} == {
        f"ValueError: the text of {replay.sessions[0].id} is in shapes.py"
    }


def test_a_text_in_the_document_is_refused(replay, tmp_path):
    session = replay.sessions[0]
    shown = replace(session, after="\n\n" + AREA)
    bench = Bench([replace(replay, sessions=(shown,))], tmp_path)
    (row,) = bench.run(bench.condition("none", lambda _: lambda *_: "")).values()
    assert "is in the document that is opened" in row.error


def test_a_system_that_ends_is_replaced_and_a_resumed_run_tries_again(bench, replay):
    first, second = replay.sessions
    gone = SystemGoneError("the server has ended")

    def fails_first(file):
        return lambda *_: gone if file == first.file else ""

    rows = bench.run(bench.condition("c", fails_first))
    assert rows[first.id, "c", "whole"].error == "SystemGoneError: the server has ended"
    assert rows[second.id, "c", "whole"].error is None
    assert len(bench.seen) == 2
    again = bench.run(bench.condition("c", lambda _: lambda *_: ""))
    assert [row.error for row in again.values()] == [None, None]
    assert again[second.id, "c", "whole"] == rows[second.id, "c", "whole"]
    bench.run(bench.condition("c", lambda _: pytest.fail("everything is typed")))
    assert len(bench.seen) == 3


def test_rows_of_another_run_are_refused(bench):
    none = bench.condition("none", lambda _: lambda *_: "")
    bench.run(none)
    with pytest.raises(ValueError, match="holds results of another run"):
        bench.run(none, run="other")


def test_rows_come_back_as_they_were(tmp_path):
    keys = (Key(1.5, "é\n", known=True, right_to_end=True, accepted=2), Key(3.25, overtaken=True))
    row = Row("s", "r", "c", "whole", "code", characters=9, pressed=4, cpu_seconds=0.5, keys=keys)
    file = RowFile(tmp_path / "rows.jsonl", {})
    file.add(replace(row, error="died"))
    file.add(row)
    with (tmp_path / "rows.jsonl").open("a") as killed:
        killed.write('{"session": "cut off')
    assert RowFile(tmp_path / "rows.jsonl", {}).rows() == {("s", "c", "whole"): row}
