"""Typing: laws of typing into any system, rows, summary, and runs over real repositories."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_server.benchmarks.reporting.statistics import compare, quantile, share
from lsp_server.benchmarks.systems.conditions import Condition
from lsp_server.benchmarks.systems.system import Answer, Loaded, SystemGoneError
from lsp_server.benchmarks.typing.person import POLICIES, Person
from lsp_server.benchmarks.typing.plot import plot
from lsp_server.benchmarks.typing.rhythm import Rhythm, count_keys
from lsp_server.benchmarks.typing.rows import Row, RowFile
from lsp_server.benchmarks.typing.run import run_typing
from lsp_server.benchmarks.typing.session import Replay, Session
from lsp_server.benchmarks.typing.summary import summarise
from lsp_server.benchmarks.typing.tables import as_markdown
from lsp_server.benchmarks.typing.typist import Key, Typist
from lsp_server.benchmarks.workspaces.training_cutoff import UNKNOWN, TrainingData
from tests.server.benchmarks.test_typing_commits import AREA, SHAPES, USES, GitRepository

FAST = Rhythm(slowdown=1e-3)
VERY_FAST = Rhythm(slowdown=1e-6)
TYPED = "first = square.area()\n    return first, first"
CODE = st.text("ab_( )\n\t", min_size=1, max_size=24)


class WrittenSystem:
    """System that answers what a function of the document and the cursor says."""

    def __init__(self, answer, log=None):
        self._answer, self.log = answer, log if log is not None else []
        self.text, self.file, self.n_cancelled = "", "", 0

    async def open(self, file, text):
        self.file, self.text = file, text
        self.log.append(("open", file))
        return Loaded(files=1, tokens=10, engine="written")

    async def move_cursor(self, offset):
        self.log.append(("cursor", offset))

    async def change(self, start, end, text):
        self.text = self.text[:start] + text + self.text[end:]

    async def complete(self, offset, *, automatic=False):
        assert automatic
        try:
            found = self._answer(self.text, offset)
            if isinstance(found, Exception):
                raise found
            if found is None:  # too slow
                await asyncio.sleep(60)
            return Answer(found)
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise

    async def save_other(self, file, text):
        raise NotImplementedError

    async def close(self):
        self.log.append(("close", self.text))


def session_of(typed, before="def f(square):\n    ", after="\n", **fields):
    return Session("r", "a.py", before, typed, after, "c" * 40, date(2024, 1, 1), **fields)


def type_into(answer, session, person):
    """Type a session into a system, and return both."""

    async def run():
        system = WrittenSystem(answer)
        await system.open(session.file, session.opened)
        typist = Typist(system, session, person)
        await typist.type()
        return system, typist

    return asyncio.run(run())


def perfect(session):
    """Answer with all that is still to be typed."""
    end = len(session.before) + len(session.typed)
    return lambda _text, offset: session.typed[offset - end :] if offset < end else ""


# Typing.


@pytest.mark.parametrize("policy", POLICIES)
def test_a_perfect_system_saves_all_keys_but_two(policy):
    session = session_of(TYPED)
    system, typist = type_into(perfect(session), session, Person(policy, FAST))
    assert typist.n_pressed == 2
    assert system.text == typist.text == session.target
    (key,) = typist.keys
    assert (key.accepted, key.saved) == (len(TYPED) - 1, count_keys(TYPED) - 2)
    assert key.right_to_end
    assert not key.is_interruption


@pytest.mark.parametrize("answer", ["", "  \n", None, RuntimeError("the model did not answer")])
def test_a_system_without_suggestions_saves_nothing(answer):
    session = session_of(TYPED)
    system, typist = type_into(lambda *_: answer, session, Person("word", FAST))
    assert typist.n_pressed == count_keys(TYPED)
    assert system.text == session.target
    assert [key.shown for key in typist.keys] == [""] * (typist.n_pressed - 1)
    assert all(key.overtaken == (answer is None) for key in typist.keys)
    assert all(key.failed == isinstance(answer, RuntimeError) for key in typist.keys)
    assert system.n_cancelled == (typist.n_pressed - 1 if answer is None else 0)


def test_wrong_suggestions_interrupt_and_save_nothing():
    session = session_of(TYPED)
    _, typist = type_into(lambda *_: "Zwrong", session, Person("word", FAST))
    assert typist.n_pressed == count_keys(TYPED)
    assert all(key.is_interruption for key in typist.keys)


def test_a_right_first_word_is_accepted_by_who_accepts_words():
    session = session_of("measure_it(square)")

    def answer(_text, offset):
        return "easure_it(circle)" if offset == len(session.before) + 1 else ""

    _, whole = type_into(answer, session, Person("whole", FAST))
    system, word = type_into(answer, session, Person("word", FAST))
    assert (whole.n_pressed, word.n_pressed) == (18, 10)
    assert word.keys[0] == replace(word.keys[0], accepted=9, saved=8, right_for_a_word=True)
    assert not word.keys[0].is_interruption
    assert system.text == session.target


def test_what_is_cut_off_is_right_and_the_session_ends_there():
    session = session_of("return x", rest=" + y")
    system, typist = type_into(lambda *_: "eturn x + y", session, Person("whole", FAST))
    assert (typist.n_pressed, system.text) == (2, session.target)


def test_a_system_that_is_gone_is_no_missing_suggestion():
    session = session_of(TYPED)
    with pytest.raises(SystemGoneError):
        type_into(lambda *_: SystemGoneError("ended"), session, Person("whole", FAST))


@given(
    CODE,
    st.lists(st.tuples(st.integers(0, 30), CODE | st.just("")), max_size=30),
    st.lists(st.sampled_from(["answer", "late", "fail"]), min_size=1, max_size=5),
    st.sampled_from(POLICIES),
    CODE,
)
def test_the_document_ends_as_the_target_whatever_is_suggested(typed, answers, ways, policy, rest):
    session = session_of(typed, rest=rest)
    number = iter(range(10_000))

    def answer(_text, offset):
        n = next(number)
        way = ways[n % len(ways)]
        if way == "late":
            return None
        if way == "fail":
            return RuntimeError("the model did not answer")
        length, noise = answers[n % len(answers)] if answers else (0, "")
        at = offset - len(session.before)
        return (typed + rest)[at : at + length] + noise

    system, typist = type_into(answer, session, Person(policy, VERY_FAST))
    assert system.text == typist.text == session.target
    assert len(typist.keys) == typist.n_pressed - 1
    saved = sum(key.saved for key in typist.keys)
    assert typist.n_pressed + saved == count_keys(typed)
    assert all(key.accepted == 0 or key.right_for_a_word for key in typist.keys)


# Runs.


@pytest.fixture
def replay(tmp_path):
    """Two sessions of one real repository: a method, then a function in another file."""
    repo = GitRepository(tmp_path / "shapes")
    repo.commit(shapes_py=SHAPES, uses_py="import shapes\n")
    repo.commit(shapes_py=SHAPES + "\n" + AREA)
    repo.commit(uses_py="import shapes\n\n\n" + USES)
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


# Summary.


def row_of(session, repository, condition, characters, pressed, keys=(), **fields):
    return Row(
        session, repository, condition, "whole", "code", characters=characters, pressed=pressed,
        keys=tuple(keys), **fields,
    )  # fmt: skip


RIGHT = Key(10.0, "x", right_to_end=True, right_for_a_word=True, accepted=1)
KNOWN = replace(RIGHT, ms=2.0, known=True)
WORD = Key(20.0, "x y", right_for_a_word=True)
WRONG = Key(30.0, "z")
LATE = Key(100.0, overtaken=True)
RHYTHM = Rhythm(slowdown=4).describe()
ABOUT = {
    "model": "m",
    "weights_sha256": None,
    "settings": {},
    "rhythm": RHYTHM,
    "machine": {"cpu": "c", "cores": 2, "flags": [], "memory_gb": 8, "load": 0.5},
}
ROWS = [
    row_of("1", "a", "ours", 100, 60, [RIGHT, KNOWN, WORD, WRONG, LATE], cpu_seconds=2.0),
    row_of("2", "b", "ours", 100, 80, [LATE, LATE, LATE, WRONG, WRONG], cpu_seconds=4.0),
    row_of("1", "a", "theirs", 100, 80, [RIGHT, WRONG, LATE, LATE]),
    row_of("2", "b", "theirs", 100, 90, [WRONG, LATE, LATE, LATE]),
    row_of("3", "b", "theirs", 100, 0, [RIGHT]),
    replace(row_of("3", "b", "ours", 0, 0), error="died"),
]


def test_a_summary_is_as_counted_by_hand():
    found = summarise(ROWS, ABOUT)
    ours, theirs = found["all"]["sides"]
    assert (ours["condition"], ours["sessions"], theirs["sessions"]) == ("ours", 2, 3)
    assert ours["saved"] == {"mean": 0.3, "low": 0.2, "high": 0.4, "count": 200}
    assert ours["shown"]["mean"] == 0.6
    assert ours["right"]["mean"] == pytest.approx(2 / 6)
    assert ours["right_for_a_word"]["mean"] == pytest.approx(3 / 6)
    assert ours["interruptions"]["mean"] == 30.0
    assert ours["overtaken"]["mean"] == 0.4
    assert ours["known"]["mean"] == pytest.approx(1 / 6)
    assert (ours["ms_p50"]["mean"], ours["asked_ms_p50"]["mean"]) == (25.0, 30.0)
    assert ours["cpu_seconds_per_saved"] == 6.0 / 60
    assert theirs["cpu_seconds_per_saved"] is None
    assert [row["session"] for row in found["failed"]] == ["3"]


def test_conditions_are_compared_on_the_sessions_that_both_have():
    (found,) = summarise(ROWS, ABOUT)["all"]["comparisons"]
    assert (found["of"], found["base"], found["sessions"]) == ("ours", "theirs", 2)
    saved = found["differences"]["saved"]
    assert saved["mean"] == pytest.approx(0.15)
    assert (saved["low"], saved["high"]) == (pytest.approx(0.1), pytest.approx(0.2))
    assert found["saved_ratio"]["mean"] == pytest.approx(2.0)
    assert found["saved_ratio"]["low"] == found["saved_ratio"]["high"] == pytest.approx(2.0)
    assert found["differences"]["interruptions"]["mean"] == pytest.approx(30 - 25)


def test_tables_say_the_rhythm_its_slowdown_and_what_failed():
    text = as_markdown(json.loads(json.dumps(summarise(ROWS, ABOUT))))
    assert "(slowdown 4)" in text
    assert "0.1 s from key to key within a word" in text
    assert "| whole | ours | 2 | 30.0% [20.0%, 40.0%] |" in text
    assert "| whole | ours minus theirs | 2 | +15.0% [+10.0%, +20.0%] |" in text
    assert "Failed, and left out: 1." in text


def test_a_run_without_any_result_has_a_summary():
    failed = [replace(ROWS[0], error="died", keys=())]
    text = as_markdown(summarise(failed, ABOUT))
    assert "Failed, and left out: 1." in text
    nothing = [replace(ROWS[0], keys=())]
    assert "| whole | ours | 1 | 40.0% |" in as_markdown(summarise(nothing, ABOUT))


def test_groups_are_shown_if_there_are_several():
    rows = [replace(ROWS[0], published="before"), replace(ROWS[1], published="after")]
    found = summarise(rows, ABOUT)
    assert set(found["by_publication"]) == {"before", "after"}
    assert found["by_language"] == {}
    assert "before or after the model was trained: after" in as_markdown(found)


def test_equal_results_give_the_same_picture(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        plot(summarise(ROWS, ABOUT), ROWS, tmp_path / name)
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    for words in ("ours, asked of the model", "theirs, whole", "characters saved", "slowdown 4"):
        assert words in svg
    plot(summarise(ROWS[-1:], ABOUT), ROWS[-1:], tmp_path / "empty.svg")


COUNTS = st.dictionaries(
    st.sampled_from("abcde"),
    st.tuples(st.integers(0, 9), st.integers(1, 9)) | st.just((0, 0)),
    min_size=1,
)


@given(COUNTS)
def test_a_share_is_the_mean_over_all_and_lies_in_its_interval(counts):
    found = share(counts)
    total, count = (sum(each[index] for each in counts.values()) for index in (0, 1))
    assert (found is None) == (count == 0)
    if found is not None:
        assert (found.mean, found.count) == (pytest.approx(total / count), count)
        assert (found.low is None) == (sum(each[1] > 0 for each in counts.values()) < 2)
    if found is not None and found.low is not None:
        assert found.low <= found.high


@given(COUNTS)
def test_a_condition_compared_with_itself_is_no_better(counts):
    difference, ratio = (compare(counts, counts, kind) for kind in ("difference", "ratio"))
    total, count = (sum(each[index] for each in counts.values()) for index in (0, 1))
    assert (difference is not None) == (count > 0)
    assert (ratio is not None) == (count > 0 and total > 0)
    if difference is not None:
        assert difference.mean == 0.0
        assert difference.low in (0.0, None)
    if ratio is not None:
        assert ratio.mean == pytest.approx(1.0)


def test_a_ratio_to_nothing_is_not_defined():
    assert compare({"a": (1, 2)}, {"a": (0, 2)}, "ratio") is None
    assert compare({"a": (1, 2)}, {"b": (1, 2)}, "difference") is None


@settings(max_examples=20)
@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.floats(0, 1e6), max_size=5)))
def test_a_quantile_is_of_all_values(values):
    every = sorted(value for each in values.values() for value in each)
    found = quantile(values, 1.0)
    assert (found.mean, found.count) == (every[-1], len(every)) if every else found is None
    if found is not None and found.low is not None:
        assert found.low <= found.high <= found.mean
