"""Work with systems that end: every item is done or fails, exactly once."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.systems.conditions import Condition
from lsp_server.benchmarks.systems.replacement import work_through
from lsp_server.benchmarks.systems.system import SystemGoneError

OUTCOMES = {"done": None, "error": RuntimeError("broken"), "gone": SystemGoneError("killed")}


class Systems:
    """Systems that can be opened and closed as often as they are told to."""

    def __init__(self, unopened=(), unclosed=()):
        self.unopened, self.unclosed = set(unopened), set(unclosed)
        self.n_opened = 0

    @asynccontextmanager
    async def open(self, folder):
        self.n_opened += 1
        number = self.n_opened
        if number in self.unopened:
            raise RuntimeError("cannot be opened")
        yield f"system {number}"
        if number in self.unclosed:
            raise RuntimeError("cannot be closed")


def run(systems, outcomes, check=lambda: None):
    done, failed = [], []

    async def work(system, item):
        if (error := OUTCOMES[outcomes[item]]) is not None:
            raise error
        done.append((item, system))

    condition = Condition("file", systems.open)
    todo = range(len(outcomes))
    fail = lambda item, error: failed.append((item, str(error)))  # noqa: E731
    asyncio.run(work_through(condition, Path(), todo, work, fail, check))
    return done, failed


@given(
    st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=8),
    st.sets(st.integers(1, 8), max_size=3),
    st.sets(st.integers(1, 8), max_size=3),
)
def test_every_item_is_done_or_fails_once(outcomes, unopened, unclosed):
    done, failed = run(Systems(unopened, unclosed), outcomes)
    assert sorted([item for item, _ in [*done, *failed]]) == [*range(len(outcomes))]
    assert all(outcomes[item] == "done" for item, _ in done)


def test_a_system_that_ends_is_replaced():
    systems = Systems()
    done, failed = run(systems, ["done", "gone", "done"])
    assert done == [(0, "system 1"), (2, "system 2")]
    assert failed == [(1, "killed")]


def test_a_system_goes_on_after_an_error():
    systems = Systems()
    done, failed = run(systems, ["error", "done"])
    assert (done, failed) == ([(1, "system 1")], [(0, "broken")])


def test_a_system_that_cannot_be_closed_has_done_its_work():
    systems = Systems(unclosed=[1])
    assert run(systems, ["done", "done"]) == ([(0, "system 1"), (1, "system 1")], [])
    assert systems.n_opened == 1


def test_a_check_that_fails_fails_all_items():
    def check():
        raise ValueError("a leak")

    systems = Systems()
    done, failed = run(systems, ["done", "done"], check)
    assert (done, failed) == ([], [(0, "a leak"), (1, "a leak")])
    assert systems.n_opened == 1
