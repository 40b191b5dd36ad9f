"""Ghost text beside IntelliSense, as the extension leaves VS Code's defaults: both can be seen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.vscode.conftest import PICTURES
from tests.vscode.materials import OFFICE
from tests.vscode.tools import Tools
from tests.vscode.window import Window, browse
from tests.vscode.workbench import Workbench, workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

SLOW = {
    "longllama.trigger.debounceMs": 1500,
    "editor.wordBasedSuggestions": "currentDocument",
}
"""Later than VS Code waits for ghost text, which is 750 ms."""
TONNES = "MAX_PILOTED_TONNES"
MODEL = "tiny"
"""Any text will do."""


@pytest.fixture(scope="module")
def running(
    vsix: Path, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """A workbench in which answers are slow."""
    folder = tmp_path_factory.mktemp("wb")
    with workbench(tools, folder, vsix, model=MODEL, settings=SLOW) as found:
        yield found


@pytest.fixture(scope="module")
def window(running: Workbench, workspace: Path) -> Iterator[Window]:
    """A window on the sample workspace."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browse(PICTURES) as opened:
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def test_ghost_text_that_comes_late_is_shown(window: Window) -> None:
    window.expect_status("tokens")
    window.focus_end_of_file("The harbour office")
    window.type("from harbour.pilots import MAX")
    window.page.wait_for_timeout(1500)  # a pause ends the burst of keys, which has a quiet time
    window.type("_")
    expect(window.ghost).not_to_be_empty()
    window.picture("ghost-text-late")


def test_what_was_dismissed_does_not_come_again(window: Window) -> None:
    window.press("Escape")
    expect(window.ghost).to_have_count(0)
    window.page.wait_for_timeout(3000)
    expect(window.ghost).to_have_count(0)


def test_beside_the_list_ghost_text_goes_on_as_its_selected_entry_does(window: Window) -> None:
    window.type(f"PILOTED_TONNES\n\n{TONNES}_TODAY = 7\n\n\ndef is_piloted(tonnes):\n")
    window.type("    return tonnes > MAX_PIL")
    window.press("Control+Space")
    entry = window.page.locator(".suggest-widget.visible .monaco-list-row.focused .label-name")
    expect(entry).to_contain_text("MAX_PIL")
    expect(window.ghost).not_to_be_empty()
    ghost, selected = window.ghost.inner_text().replace("\xa0", " "), entry.inner_text()
    assert f"MAX_PIL{ghost}".startswith(selected)
    window.picture("ghost-text-beside-list")
