"""What the status bar, the menu and the commands say and ask; each test goes on from the last.

The server is a real one; its engine answers from a script, so that a test waits for nothing else.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Locator, expect

from tests.vscode.conftest import PICTURES
from tests.vscode.materials import OFFICE
from tests.vscode.notices import labels, notice, press
from tests.vscode.tools import Tools
from tests.vscode.window import Window, browse
from tests.vscode.workbench import Workbench, workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

RECORD = """
const seen = (globalThis.seen = []);
setInterval(() => {
    for (const item of document.querySelectorAll(".statusbar-item"))
        if (item.textContent.includes("LongLLaMA") && seen.at(-1) !== item.textContent)
            seen.push(item.textContent);
}, 10);
"""
"""Keeps every text of our status item, however short it is shown."""
ANSWERS = [
    {"before": "import MAX_", "text": "PILOTED_TONNES", "source": "harbour/pilots.py"},
    {"before": r"berth_of\(", "text": "ship)", "source": "harbour/berths.py"},
]
SETTINGS = {"longllama.trigger.debounceMs": 0, "workbench.editor.useModal": "off"}
WHY = "Why This Suggestion?"
WRONG = {"longllama.trigger.mode": "aut", "longllama.triger.mode": "auto"}


@pytest.fixture(scope="module")
def running(
    vsix: Path, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """A workbench whose settings name the server, for the window without a folder."""
    server = str(Path(sys.executable).parent / "longllama-lsp")
    folder = tmp_path_factory.mktemp("wb")
    answers = tmp_path_factory.mktemp("script") / "answers.json"
    answers.write_text(json.dumps({"answers": ANSWERS, "remember_ms": 100}))
    with workbench(
        tools,
        folder,
        vsix,
        model=f"script:{answers}",
        settings={**SETTINGS, "longllama.server.command": [server]},
    ) as found:
        yield found


@pytest.fixture(scope="module")
def window(running: Workbench, workspace: Path) -> Iterator[Window]:
    """A window on the sample workspace, whose status texts are recorded."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browse(PICTURES) as opened:
        opened.page.add_init_script(RECORD)
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def user_settings(running: Workbench) -> dict[str, Any]:
    """The user's settings, as VS Code has written them."""
    path = running.folder / "data" / "User" / "settings.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def change(workspace: Path, settings: dict[str, Any]) -> None:
    """Have the user write the settings of the workspace."""
    path = workspace / ".vscode" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings))


def dialog(window: Window, text: str) -> Locator:
    """The question that must be answered first, once it is there."""
    found = window.page.locator(".monaco-dialog-box", has_text=text)
    expect(found).to_be_visible()
    return found


def answer(window: Window, text: str, label: str) -> None:
    """Answer a question."""
    dialog(window, text).get_by_role("button", name=label, exact=True).click()


def test_a_cold_start_is_no_problem(window: Window) -> None:
    window.expect_status("tokens")
    seen: list[str] = window.page.evaluate("seen")
    assert "loading" in seen[0]
    assert [text for text in seen if "problem" in text] == []


def test_a_pause_in_typing_does_not_read_the_repository_again(window: Window) -> None:
    n_tokens = re.compile(r"\([\d,]+ tokens\)")
    found = n_tokens.search(window.status.get_attribute("aria-label") or "")
    assert found
    window.focus_end_of_file("The harbour office")
    window.page.evaluate("seen.length = 0")
    window.type("\nBOLLARDS = 3")
    expect(window.status).not_to_have_attribute("aria-label", re.compile(re.escape(found.group())))
    window.expect_status_detail("The repository is in memory")
    seen: list[str] = window.page.evaluate("seen")
    assert seen
    assert [text for text in seen if "reading" in text] == []


def test_one_language_is_turned_off_by_its_name_and_nothing_is_left_of_it(
    window: Window, running: Workbench
) -> None:
    window.focus_end_of_file("The harbour office")
    window.status.click()
    window.choose("Turn suggestions off for Python")
    window.expect_status("off for Python")
    window.expect_status_detail("Suggestions are off for Python")
    assert user_settings(running)["longllama.enableLanguages"] == {"python": False}
    window.picture("off-for-python")
    window.status.click()
    window.picture("menu")
    window.choose("Turn suggestions on for Python")
    window.expect_status("tokens")
    assert "longllama.enableLanguages" not in user_settings(running)


def test_the_menu_leads_to_the_settings_by_category(window: Window) -> None:
    window.status.click()
    window.choose("Open the settings")
    contents = window.page.locator(".settings-toc-container")
    for title in ("Triggers", "Suggestions", "Memory", "Model"):
        expect(contents.locator(".monaco-list-row", has_text=title).first).to_be_visible()
    first = window.page.locator(".settings-editor .setting-item-contents").first
    expect(first).to_contain_text("Turn it off to stop suggestions")
    window.picture("settings")
    window.run("View: Close Editor")


def test_why_shows_the_suggestion_then_file_line_and_share(window: Window) -> None:
    window.focus_end_of_file("The harbour office")
    window.type("from harbour.pilots import MAX_")
    expect(window.ghost).to_have_text("PILOTED_TONNES")
    window.run("LongLLaMA: Why This Suggestion?")
    expect(window.row(WHY, "“PILOTED_TONNES”")).to_be_visible()
    name = window.row(WHY, "pilots.py:1").locator(".label-name")
    expect(name).to_have_text(re.compile(r"^pilots\.py:1\s+\d+ %$"))
    window.picture("why")


def test_what_is_listed_of_an_earlier_suggestion_is_grey(window: Window) -> None:
    name = window.row(WHY, "pilots.py:1").locator(".label-name")
    before = name.evaluate("element => getComputedStyle(element).color")
    window.focus_end_of_file("The harbour office")
    window.type("PILOTED_TONNES\n\nberth_of(")
    expect(window.ghost).to_contain_text("ship")
    pane = window.page.locator(".pane", has=window.page.locator(".pane-header", has_text=WHY))
    expect(pane).to_contain_text("about an earlier suggestion")
    expect(name).not_to_have_css("color", before)
    window.picture("why-stale")
    window.press("Escape")


def test_a_reason_says_what_to_do(window: Window) -> None:
    window.focus_end_of_file("The harbour office")
    window.type("\nmoor_the_ship_at(berth)")
    window.press("Home")
    window.type("x")
    window.expect_status_detail(
        r"text behind the cursor on its line; to have one all the same, press Alt\+\\"
    )
    window.status.hover()
    hover = window.page.locator(".workbench-hover", has_text="The repository is in memory")
    # Ordinary blanks: a line breaks at no others.
    expect(hover).to_contain_text(re.compile(r"to have one all the same, press Alt\+\\, or"))
    window.page.wait_for_timeout(500)
    window.picture("reason")
    window.press("Control+z")


def test_clearing_the_memory_asks_first(window: Window) -> None:
    window.run("LongLLaMA: Clear Memory")
    question = dialog(window, "Empty the memory of this window?")
    expect(question).to_contain_text("suggestions come from the open files alone")
    window.picture("clear-memory")
    question.get_by_role("button", name="Cancel", exact=True).click()
    window.expect_status("tokens")


def test_a_cleared_memory_is_read_again_when_the_user_says_so(window: Window) -> None:
    window.run("LongLLaMA: Clear Memory")
    answer(window, "Empty the memory", "Clear and Pause")
    window.expect_status("paused")
    cleared = notice(window, "reading is paused")
    assert labels(cleared) == ["Resume"]
    window.picture("cleared-memory")
    press(cleared, "Resume")
    window.expect_status("tokens")
    window.run("LongLLaMA: Clear Memory")
    answer(window, "Empty the memory", "Clear and Read Again")
    window.expect_status("tokens")


def test_clearing_the_disk_asks_first_and_tells_the_bytes(window: Window) -> None:
    window.run("LongLLaMA: Clear What Is Stored on Disk")
    dialog(window, "Remove what is stored on disk")
    window.picture("clear-disk")
    answer(window, "Remove what is stored on disk", "Remove")
    cleared = notice(window, "B were removed. Nothing is stored any more.")
    window.picture("cleared-disk")
    press(cleared, "Resume")
    window.expect_status("tokens")


def test_settings_that_are_not_used_are_told_whole_until_they_are_mended(
    window: Window, workspace: Path
) -> None:
    window.run("Notifications: Clear All Notifications")
    change(workspace, WRONG)
    told = notice(window, 'setting longllama.trigger.mode is "aut": choose one of')
    expect(told).to_contain_text(
        'longllama.triger.mode is "auto": there is no such setting; '
        "the nearest is longllama.trigger.mode."
    )
    assert labels(told) == ["Open Settings"]
    window.expect_status("check settings")
    window.expect_status_detail("longllama.triger")
    window.picture("wrong-settings")
    press(told, "Open Settings")
    expect(window.page.locator(".tab.active")).to_contain_text("settings.json")
    window.picture("wrong-setting-opened")
    window.run("View: Close Editor")
    change(workspace, {"longllama.trigger.mode": "aut2"})
    notice(window, '"aut2"')
    change(workspace, {})
    window.expect_status("tokens")
    expect(window.page.locator(".notification-toast")).to_have_count(0)


def test_a_window_without_a_folder_says_so(
    window: Window, running: Workbench, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.py"
    alone.write_text("BERTHS = 3\n")
    window.open(running.url(None, alone))
    window.expect_status("no folder")
    window.expect_status_detail("No folder is open.*Open a folder")
    window.status.click()
    first = window.page.locator(".quick-input-list .monaco-list-row").first
    expect(first).to_contain_text("Open a folder")
    window.picture("no-folder")
