"""What the status says of reading, from counts alone."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lsp_server.engine.client import EngineState
from lsp_server.indexing.file_table import Status, Totals
from lsp_server.problems import Problems
from lsp_server.settings.declarations import Settings
from lsp_server.status.report import StatusReport

ALL = Totals(in_memory=100, indexed_bytes=100_000, tokens=30_000, segments_encoded=400)
ONE_CHANGED = Totals(
    in_memory=99, waiting=1, indexed_bytes=99_000, waiting_bytes=1_000, tokens=30_000
)
MANY = Totals(in_memory=90, waiting=10, indexed_bytes=90_000, waiting_bytes=10_000, tokens=27_000)

ENGINE = SimpleNamespace(
    state=EngineState.READY, ready=True, message="", note="", is_limited=False, n_restarts=0
)


class Server:
    """A status report, and an indexer with counts of our own."""

    def __init__(self) -> None:
        self.paused = self.busy = self.waits_for_power = False
        self._totals = ALL
        self._report = StatusReport()

    def totals(self) -> Totals:
        return self._totals

    def reads(self, totals: Totals) -> Status:
        """Return the status while files are read."""
        return self._now(totals, busy=True)

    def rests(self, totals: Totals) -> Status:
        """Return the status while none are."""
        return self._now(totals, busy=False)

    def _now(self, totals: Totals, *, busy: bool) -> Status:
        self._totals, self.busy = totals, busy
        indexer, engine = cast(Any, self), cast(Any, ENGINE)
        return self._report.status(Settings(), engine, indexer, None, Problems(print))


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_file_that_is_read_again_after_an_edit_is_no_share_of_the_repository(server):
    server.rests(ALL)
    for totals in (ALL, ONE_CHANGED, ALL):  # the scan, the file, what comes after it
        status = server.reads(totals)
        assert (status.message, status.progress) == ("reading what has changed", None)


def test_after_reading_all_an_edit_says_nothing_of_the_repository(server):
    assert server.reads(MANY).progress == pytest.approx(0.9)
    assert server.rests(ALL).phase == "ready"
    assert server.reads(ONE_CHANGED).progress is None


def test_a_pause_in_which_nothing_is_left_ends_the_reading(server):
    server.reads(MANY)
    server.paused = True
    assert server.rests(MANY).phase == "paused"
    server.paused = False
    assert server.reads(MANY).message.startswith("reading the repository: 90 %")
    server.paused = True
    server.rests(ALL)
    server.paused = False
    status = server.reads(ONE_CHANGED)
    assert (status.message, status.progress) == ("reading what has changed", None)


def test_looking_for_files_at_the_start_has_a_share(server):
    assert server.reads(Totals()).progress == 0
