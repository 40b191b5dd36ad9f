"""Thread that owns the model, and the schedule of its jobs.

Jobs are generators. Between two steps of a job the thread takes up a more urgent one, so that a
completion waits for the encoding of one segment at most. Owners are served fairly: their files take
turns, segment by segment. If the owners are windows of one user, the completion of the window that
was typed in last goes first, and so does what is read ahead for it. Those of several users go in
order of arrival, as some would otherwise wait for as long as others type.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

from longllama_code.errors import Cancelled

_T = TypeVar("_T")


class Priority(IntEnum):
    """Priority of a job; lower goes first."""

    CONTROL = 0
    """Opening, closing and status: takes no time, and shows that the thread is alive."""
    TYPING = 1
    AHEAD = 2
    """What is read before anybody asks for it. It gives way even within a step."""
    BACKGROUND = 3
    IDLE = 4
    """What nobody waits for."""


@dataclass(eq=False)
class Job:
    """A job, queued or in progress."""

    owner: Hashable
    """Client that the job is for."""
    priority: Priority
    number: int
    work: Generator[None, None, Any]
    result: "Future[Any]" = field(default_factory=Future[Any])
    cancelled: threading.Event = field(default_factory=threading.Event)


class Schedule:
    """Queue of jobs. The jobs of one owner and priority stay in order.

    Args:
        has_many_users: whether the owners are several users, not windows of one.
    """

    def __init__(self, *, has_many_users: bool = False) -> None:
        self._has_many_users = has_many_users
        self._queues: dict[Priority, dict[Hashable, deque[Job]]] = {each: {} for each in Priority}
        self._typed: dict[Hashable, int] = {}

    def put(self, job: Job) -> None:
        """Queue a job."""
        if job.priority is Priority.TYPING:
            self._typed[job.owner] = job.number
        self._queues[job.priority].setdefault(job.owner, deque()).append(job)

    def put_back(self, job: Job) -> None:
        """Queue an unfinished job before the others of its owner."""
        self._queues[job.priority].setdefault(job.owner, deque()).appendleft(job)

    def take(self) -> Job | None:
        """Remove and return the next job; None if there is none."""
        for priority, queue in self._queues.items():
            if queue:
                owner = self._next_owner(priority, queue)
                jobs = queue.pop(owner)
                job = jobs.popleft()
                if jobs:
                    queue[owner] = jobs  # after the other owners
                return job
        return None

    def has_more_urgent(self, priority: Priority) -> bool:
        """Whether a job waits that goes before those of a priority."""
        return any(queue for each, queue in self._queues.items() if each < priority)

    def forget(self, owner: Hashable) -> None:
        """Forget an owner that left."""
        self._typed.pop(owner, None)

    def _next_owner(self, priority: Priority, queue: dict[Hashable, deque[Job]]) -> Hashable:
        if priority is Priority.CONTROL or (priority is Priority.TYPING and self._has_many_users):
            return min(queue, key=lambda owner: queue[owner][0].number)
        if priority in (Priority.TYPING, Priority.AHEAD):
            return max(queue, key=lambda owner: self._typed.get(owner, 0))
        return next(iter(queue))


class EngineWorker:
    """Daemon thread that runs jobs.

    Args:
        has_many_users: whether the owners of jobs are several users, not windows of one.
    """

    def __init__(self, *, has_many_users: bool = False) -> None:
        self._schedule = Schedule(has_many_users=has_many_users)
        self._numbers = itertools.count()
        self._has_work = threading.Condition()
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(
        self,
        owner: Hashable,
        priority: Priority,
        work: Callable[[Job], Generator[None, None, Any]],
    ) -> Job:
        """Queue a job; ``work`` is called with it, so that it can check ``cancelled``."""
        job = Job(owner, priority, next(self._numbers), _nothing())
        job.work = work(job)
        with self._has_work:
            self._schedule.put(job)
            self._has_work.notify()
        return job

    def forget(self, owner: Hashable) -> None:
        """Forget an owner that left. Its jobs must have been cancelled, or will be finished."""
        with self._has_work:
            self._schedule.forget(owner)

    def give_way(
        self, job: Job, attempt: Callable[[Callable[[], bool]], _T]
    ) -> Generator[None, None, _T | None]:
        """Do the work of a job in one step, or in several if it is for nobody who waits.

        Work ahead of a request stops for every job that is more urgent, and is attempted again
        after it; so the attempt has to keep what it did.

        Args:
            job: the job.
            attempt: does the work. It gets a function that returns whether to stop, and then raises
                ``Cancelled``.

        Returns:
            What the attempt returned; None if the job was cancelled.
        """
        while True:
            try:
                return attempt(lambda: job.cancelled.is_set() or self._gives_way(job))
            except Cancelled:
                if job.cancelled.is_set():
                    return None
                yield

    def _gives_way(self, job: Job) -> bool:
        if job.priority is not Priority.AHEAD:
            return False
        with self._has_work:
            return self._schedule.has_more_urgent(job.priority)

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
        """Run one step of a job; return whether it is unfinished."""
        if job.cancelled.is_set():
            job.work.close()
            job.result.cancel()
            return False
        try:
            next(job.work)
        except StopIteration as end:
            job.result.set_result(end.value)
        except BaseException as error:  # passed on to whoever waits for the result
            job.result.set_exception(error)
        else:
            return True
        return False


def _nothing() -> Generator[None, None, None]:
    yield
