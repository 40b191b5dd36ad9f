"""Whose turn it is: fair between repositories, and first of all who types."""

import threading

import pytest

from longllama_code.errors import Cancelled
from longllama_code.worker import EngineWorker, Job, Priority, Schedule

CONTROL, TYPING, BACKGROUND = Priority.CONTROL, Priority.TYPING, Priority.BACKGROUND


class Line:
    """A schedule whose jobs are named."""

    def __init__(self, **how):
        self.schedule = Schedule(**how)
        self.names = {}

    def put(self, name, owner, priority=BACKGROUND):
        job = Job(owner, priority, len(self.names), iter(()))
        self.names[job] = name
        self.schedule.put(job)

    def take(self):
        return self.names.get(self.schedule.take())

    def steps(self, *unfinished):
        """The names of what is done, step by step; how often those named go on is in the name."""
        left = {name: int(name[-1]) for name in unfinished}
        while (job := self.schedule.take()) is not None:
            name = self.names[job]
            left[name] = left.get(name, 1) - 1
            if left[name]:
                self.schedule.put_back(job)
            yield name


@pytest.fixture
def line():
    return Line()


def test_what_nobody_waits_for_lets_every_window_go_first(line):
    line.put("idle3", "a", Priority.IDLE)
    taken = line.steps("idle3")
    assert next(taken) == "idle3"
    line.put("b", "b")
    line.put("a", "a")
    line.put("typed", "a", TYPING)
    assert list(taken) == ["typed", "b", "a", "idle3", "idle3"]


def test_what_is_read_ahead_goes_behind_answers_and_before_files(line):
    line.put("file", "a")
    line.put("a's", "a", Priority.AHEAD)
    line.put("b's", "b", Priority.AHEAD)
    line.put("typed", "a", TYPING)
    assert list(line.steps()) == ["typed", "a's", "b's", "file"]


def test_files_of_two_windows_take_turns_step_by_step(line):
    line.put("a3", "a")
    line.put("a", "a")
    line.put("b2", "b")
    line.put("c", "c")
    assert list(line.steps("a3", "b2")) == ["a3", "b2", "c", "a3", "b2", "a3", "a"]


def test_many_files_of_one_window_do_not_hold_up_another(line):
    for number in range(100):
        line.put(f"a{number}", "a")
    line.put("b", "b")
    assert [line.take(), line.take()] == ["a0", "b"]


def test_a_window_that_comes_while_a_step_is_done_is_next(line):
    line.put("a2", "a")
    job = line.schedule.take()
    line.put("b", "b")
    line.schedule.put_back(job)
    assert [line.take(), line.take()] == ["b", "a2"]


def test_completions_go_before_files_and_the_status_before_both(line):
    line.put("file", "a")
    line.put("completion", "b", TYPING)
    line.put("status", "c", CONTROL)
    line.put("later status", "a", CONTROL)
    assert list(line.steps()) == ["status", "later status", "completion", "file"]


def test_who_typed_last_is_completed_first(line):
    line.put("a's first", "a", TYPING)
    line.put("b's", "b", TYPING)
    line.put("c's", "c", TYPING)
    line.put("a's second", "a", TYPING)
    assert list(line.steps()) == ["a's first", "a's second", "c's", "b's"]


def test_nobody_waits_for_others_who_ask_again_and_again():
    line = Line(has_many_users=True)
    line.put("a's first", "a", TYPING)
    line.put("b's first", "b", TYPING)
    line.put("c's", "c", TYPING)
    taken = [line.take()]
    line.put("a's second", "a", TYPING)
    taken.append(line.take())
    line.put("b's second", "b", TYPING)
    assert [*taken, *line.steps()] == [
        "a's first",
        "b's first",
        "c's",
        "a's second",
        "b's second",
    ]


def test_typing_does_not_change_whose_file_is_next(line):
    line.put("a2", "a")
    line.put("b2", "b")
    job = line.schedule.take()
    line.put("a's completion", "a", TYPING)
    line.schedule.put_back(job)
    assert list(line.steps("a2", "b2"))[:3] == ["a's completion", "b2", "a2"]


def test_a_window_that_left_is_no_longer_the_one_that_typed_last(line):
    line.put("a's", "a", TYPING)
    line.put("b's", "b", TYPING)
    line.schedule.forget("b")
    assert line.take() == "a's"


def test_the_thread_puts_a_completion_between_two_steps():
    worker, began, may_go_on = EngineWorker(), threading.Event(), threading.Event()
    done = []

    def remember(_job):
        for number in range(3):
            began.set()
            assert may_go_on.wait(10)
            done.append(f"step {number}")
            yield

    def complete(_job):
        done.append("completion")
        return "text"
        yield

    file = worker.submit("a", BACKGROUND, remember)
    assert began.wait(10)
    completion = worker.submit("b", TYPING, complete)
    may_go_on.set()
    assert completion.result.result(10) == "text"
    assert file.result.result(10) is None
    assert done == ["step 0", "completion", "step 1", "step 2"]


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        (Priority.AHEAD, ["begun", "completion", "begun", "read", "file"]),
        (TYPING, ["begun", "read", "completion", "file"]),  # what somebody waits for goes on
    ],
)
def test_what_is_read_ahead_gives_way_within_a_step_and_goes_on_later(priority, expected):
    worker, began, may_go_on = EngineWorker(), threading.Event(), threading.Event()
    done = []

    def read(should_stop):
        done.append("begun")
        began.set()
        assert may_go_on.wait(10)
        if should_stop():
            raise Cancelled("another goes first")
        done.append("read")

    def note(name):
        done.append(name)
        yield

    ahead = worker.submit("a", priority, lambda job: worker.give_way(job, read))
    assert began.wait(10)
    file = worker.submit("a", BACKGROUND, lambda _: note("file"))
    completion = worker.submit("b", TYPING, lambda _: note("completion"))
    may_go_on.set()
    for job in (ahead, completion, file):
        job.result.result(10)
    assert done == expected


def test_what_is_read_ahead_and_not_wanted_any_more_ends():
    worker, began = EngineWorker(), threading.Event()

    def read(should_stop):
        began.set()
        while not should_stop():
            pass
        raise Cancelled("not wanted")

    ahead = worker.submit("a", Priority.AHEAD, lambda job: worker.give_way(job, read))
    assert began.wait(10)
    ahead.cancelled.set()
    assert ahead.result.result(10) is None


def test_what_was_cancelled_is_not_begun_and_errors_belong_to_who_asked():
    worker, may_go_on = EngineWorker(), threading.Event()

    def wait(_job):
        assert may_go_on.wait(10)
        yield

    def fail(_job):
        raise KeyError("its own")
        yield

    first = worker.submit("a", BACKGROUND, wait)
    cancelled = worker.submit("b", BACKGROUND, fail)
    failing = worker.submit("b", BACKGROUND, fail)
    cancelled.cancelled.set()
    may_go_on.set()
    first.result.result(10)
    with pytest.raises(KeyError, match="its own"):
        failing.result.result(10)
    assert cancelled.result.cancelled()
