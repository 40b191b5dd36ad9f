"""The one thread that owns the model: what is to be known, completions, then files, step by step.

Work is a generator. Between two steps of one job the thread looks for a more urgent one, so that a
completion waits for one segment of encoding at most. Several owners are served fairly: their files
take turns, segment by segment. Of their completions that of who typed last goes first, where the
owners are windows of one person; those of several people go in the order in which they came, or
some would wait for as long as others ask.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Priority(IntEnum):
    """Lower goes first."""

    CONTROL = 0
    """Coming, going, status: takes no time, and says that the thread lives."""
    TYPING = 1
    BACKGROUND = 2


@dataclass(eq=False)
class Job:
    """Work in progress."""

    owner: Hashable
    """Whose it is."""
    priority: Priority
    number: int
    work: Generator[None, None, Any]
    result: "Future[Any]" = field(default_factory=Future[Any])
    cancelled: threading.Event = field(default_factory=threading.Event)


class Schedule:
    """Which job is next. Each owner's jobs of a priority stay in their order.

    Args:
        of_many: whether the owners are several people.
    """

    def __init__(self, *, of_many: bool = False) -> None:
        self._of_many = of_many
        self._lines: dict[Priority, dict[Hashable, deque[Job]]] = {each: {} for each in Priority}
        self._typed: dict[Hashable, int] = {}

    def put(self, job: Job) -> None:
        """Queue a job."""
        if job.priority is Priority.TYPING:
            self._typed[job.owner] = job.number
        self._lines[job.priority].setdefault(job.owner, deque()).append(job)

    def put_back(self, job: Job) -> None:
        """Queue what is left of a job before its owner's others, as their turn comes again."""
        self._lines[job.priority].setdefault(job.owner, deque()).appendleft(job)

    def take(self) -> Job | None:
        """The next job; None where nothing is to be done."""
        for priority, line in self._lines.items():
            if line:
                owner = self._next_owner(priority, line)
                jobs = line.pop(owner)
                job = jobs.popleft()
                if jobs:
                    line[owner] = jobs  # behind the others
                return job
        return None

    def forget(self, owner: Hashable) -> None:
        """An owner has left."""
        self._typed.pop(owner, None)

    def _next_owner(self, priority: Priority, line: dict[Hashable, deque[Job]]) -> Hashable:
        if priority is Priority.CONTROL or (priority is Priority.TYPING and self._of_many):
            return min(line, key=lambda owner: line[owner][0].number)
        if priority is Priority.TYPING:
            return max(line, key=lambda owner: self._typed.get(owner, 0))
        return next(iter(line))


class EngineWorker:
    """A daemon thread with a schedule of jobs.

    Args:
        of_many: whether it works for several people.
    """

    def __init__(self, *, of_many: bool = False) -> None:
        self._schedule = Schedule(of_many=of_many)
        self._numbers = itertools.count()
        self._has_work = threading.Condition()
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(
        self,
        owner: Hashable,
        priority: Priority,
        work: Callable[[Job], Generator[None, None, Any]],
    ) -> Job:
        """Queue work; its generator is made from the job, so that it can see ``cancelled``."""
        job = Job(owner, priority, next(self._numbers), _nothing())
        job.work = work(job)
        with self._has_work:
            self._schedule.put(job)
            self._has_work.notify()
        return job

    def forget(self, owner: Hashable) -> None:
        """An owner has left; its jobs were cancelled, or are still to be done."""
        with self._has_work:
            self._schedule.forget(owner)

    def _run(self) -> None:
        while True:
            with self._has_work:
                while (job := self._schedule.take()) is None:
                    self._has_work.wait()
            if self._step(job):
                with self._has_work:
                    self._schedule.put_back(job)

    @staticmethod
    def _step(job: Job) -> bool:
        """Do one step; True if there is more to do."""
        if job.cancelled.is_set():
            job.work.close()
            job.result.cancel()
            return False
        try:
            next(job.work)
        except StopIteration as end:
            job.result.set_result(end.value)
        except BaseException as error:  # whatever it is, it belongs to whoever asked
            job.result.set_exception(error)
        else:
            return True
        return False


def _nothing() -> Generator[None, None, None]:
    yield
