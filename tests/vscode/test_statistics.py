"""Statistics and snoozing in a real workbench: what is counted is what was done, and is shown."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.deadline import DEADLINE_S
from tests.e2e.counting_person import kept
from tests.vscode.conftest import PICTURES
from tests.vscode.materials import OFFICE
from tests.vscode.tools import Tools
from tests.vscode.window import Window, browse
from tests.vscode.workbench import Workbench, workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

ANSWERS = [
    {"before": "total = ", "text": "berth_fee(moored_ships)"},
    {"before": "= berth_fee", "text": "(moored_ships)"},
]
SETTINGS = {"longllama.trigger.debounceMs": 0, "longllama.completion.ahead": False}


@pytest.fixture(scope="module")
def running(
    vsix: Path, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """A workbench whose engine answers from a script."""
    folder = tmp_path_factory.mktemp("wb")
    answers = folder / "answers.json"
    answers.write_text(json.dumps({"answers": ANSWERS}))
    model = f"script:{answers}"
    with workbench(tools, folder / "w", vsix, model=model, settings=SETTINGS) as found:
        yield found


@pytest.fixture(scope="module")
def window(running: Workbench, workspace: Path) -> Iterator[Window]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browse(PICTURES) as opened:
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def expect_counted(window: Window, running: Workbench, wanted: dict[str | None, int]) -> None:
    """Wait until the server has counted this."""
    ends = time.monotonic() + DEADLINE_S
    while kept(running.folder / "cache") != Counter(wanted) and time.monotonic() < ends:
        window.page.wait_for_timeout(100)
    assert kept(running.folder / "cache") == Counter(wanted)


def test_what_is_accepted_whole_in_part_or_typed_over_is_counted(
    window: Window, running: Workbench
) -> None:
    window.expect_status("tokens")
    window.focus_end_of_file("The harbour office")
    window.type("\ntotal = ")
    expect(window.ghost).to_contain_text("berth_fee")
    window.page.wait_for_timeout(300)
    window.press("Tab")
    expect_counted(window, running, {"accepted": 1})

    window.type("\ntotal = ")
    expect(window.ghost).to_contain_text("berth_fee")
    window.page.wait_for_timeout(300)
    window.press("Control+ArrowRight")
    expect_counted(window, running, {"accepted": 1, "partly_accepted": 1})
    window.press("Escape")

    window.type("\ntotal = ")
    expect(window.ghost).to_contain_text("berth_fee")
    window.page.wait_for_timeout(300)
    window.type("xy")
    expect_counted(window, running, {"accepted": 1, "partly_accepted": 1, "typed_over": 1})


def test_the_view_shows_it_and_clearing_asks_first(window: Window, running: Workbench) -> None:
    window.run("LongLLaMA: Show Statistics")
    expect(window.row("Statistics", "All suggestions")).to_contain_text("33 % accepted of 3 shown")
    expect(window.row("Statistics", "python")).to_contain_text("33 % ██░░░░ accepted of 3 shown")
    window.picture("statistics")
    window.run("LongLLaMA: Clear Statistics")
    question = window.page.locator(".monaco-dialog-box", has_text="Clear the statistics")
    question.get_by_role("button", name="Clear", exact=True).click()
    expect(window.row("Statistics", "No suggestion was counted yet")).to_be_visible()
    expect_counted(window, running, {})


def test_the_palette_snoozes_and_the_menu_ends_it(window: Window) -> None:
    window.run("LongLLaMA: Snooze Suggestions")
    window.choose("15 minutes")
    window.expect_status("snoozed 15 min")
    window.picture("snoozed")
    window.status.click()
    window.choose("Show suggestions again")
    window.expect_status("tokens")
