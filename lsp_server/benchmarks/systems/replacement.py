"""Work with a system that may end: another one takes its place."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lsp_server.benchmarks.systems.conditions import Condition
from lsp_server.benchmarks.systems.system import System, SystemGoneError

T = TypeVar("T")


async def work_through(
    condition: Condition,
    folder: Path,
    items: Sequence[T],
    work: Callable[[System, T], Awaitable[None]],
    fail: Callable[[T, Exception], None],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Do some work for each item, on one system after another. No error is raised.

    Args:
        condition: opens a system.
        folder: the workspace.
        items: what to work on, in order.
        work: does the work for one item. If the system ends meanwhile, the item fails and another
            system does the rest; after another error, the same system goes on.
        fail: receives the items whose work failed, and the errors.
        check: called when a system has been opened; if it raises an error, all items left fail.
    """
    waiting = list(items)
    while waiting:
        n_before = len(waiting)
        try:
            async with condition.open(folder) as system:
                if (error := _error_of(check)) is not None:
                    while waiting:
                        fail(waiting.pop(0), error)
                while waiting:
                    await _work_on(system, waiting[0], work, fail)
                    waiting.pop(0)
        except Exception as error:
            # A system that cannot be opened, or that ended, costs an item; one that cannot be
            # closed has done its work.
            if waiting and (len(waiting) == n_before or isinstance(error, SystemGoneError)):
                fail(waiting.pop(0), error)


async def _work_on(
    system: System,
    item: T,
    work: Callable[[System, T], Awaitable[None]],
    fail: Callable[[T, Exception], None],
) -> None:
    try:
        await work(system, item)
    except SystemGoneError:
        raise
    except Exception as error:
        fail(item, error)


def _error_of(check: Callable[[], None]) -> Exception | None:
    try:
        check()
    except Exception as error:
        return error
    return None
