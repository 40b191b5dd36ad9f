"""The one thread that owns the model: completions first, then everything else, step by step.

Work is a generator. Between two steps of one job the thread looks for a more urgent one, so that a
completion waits for one segment of encoding at most.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Priority(IntEnum):
    """Lower goes first."""

    TYPING = 0
    BACKGROUND = 1


@dataclass(order=True)
class Job:
    """Work in progress."""

    priority: Priority
    number: int
    work: Generator[None, None, Any] = field(compare=False)
    result: "Future[Any]" = field(compare=False, default_factory=Future[Any])
    cancelled: threading.Event = field(compare=False, default_factory=threading.Event)


class EngineWorker:
    """A daemon thread with a priority queue of jobs."""

    def __init__(self) -> None:
        self._jobs: queue.PriorityQueue[Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(self, priority: Priority, work: Callable[[Job], Generator[None, None, Any]]) -> Job:
        """Queue work; its generator is made from the job, so that it can see ``cancelled``."""
        job = Job(priority, next(self._numbers), _nothing())
        job.work = work(job)
        self._jobs.put(job)
        return job

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if self._step(job):
                self._jobs.put(job)

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
