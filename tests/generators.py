"""Generators that work in steps, as tests run them: to their end."""

from collections.abc import Generator
from typing import TypeVar

ResultT = TypeVar("ResultT")


def finish(work: Generator[None, None, ResultT]) -> ResultT:
    """Return what a generator returns in the end."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value
