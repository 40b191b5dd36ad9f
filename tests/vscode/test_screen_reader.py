"""What a screen reader is told: VS Code's own words for ghost text, and ours for the status.

VS Code announces the ghost text alone, without the line before it, in one of two elements that take
turns and keep what they said last; `announced` keeps all that was said.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.vscode.conftest import PICTURES
from tests.vscode.materials import OFFICE
from tests.vscode.tools import Tools
from tests.vscode.window import Window, browse
from tests.vscode.workbench import workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

SETTINGS = {"editor.accessibilitySupport": "on", "longllama.trigger.debounceMs": 0}
ANSWERS = [
    {"before": "import MAX_", "text": "PILOTED_TONNES", "alternatives": ["BERTH_METRES"]},
    {"before": "total = ", "text": "berth_fee"},
]
LINE = "from harbour.pilots import MAX_"
ACCESSIBLE_VIEW = "Alt+F2"
RECORD = """
const announced = (globalThis.announced = []);
const note = (records) => {
    for (const { target } of records) {
        const alert = target.closest?.(".monaco-aria-container > [role=alert]");
        if (alert?.textContent) announced.push(alert.textContent.replaceAll("\\u00a0", " "));
    }
};
new MutationObserver(note).observe(document, { childList: true, subtree: true });
"""
"""Keeps every alert of VS Code's elements for screen readers."""


@pytest.fixture(scope="module")
def window(
    vsix: Path, tools: Tools, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Window]:
    """A window on the sample workspace, for somebody with a screen reader."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("wb")
    script = tmp_path_factory.mktemp("script") / "answers.json"
    script.write_text(json.dumps({"answers": ANSWERS}))
    with (
        workbench(tools, folder, vsix, model=f"script:{script}", settings=SETTINGS) as running,
        browse(PICTURES) as opened,
    ):
        opened.page.add_init_script(RECORD)
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def wait_until_announced(window: Window, text: str) -> None:
    """Wait until this was said, on its own or before a hint."""
    said = "text => announced.some((each) => each === text || each.startsWith(`${text}, `))"
    window.page.wait_for_function(said, arg=text)


def forget(window: Window) -> None:
    """Have what is said from now on be all that was said."""
    window.page.evaluate("announced.length = 0")


def test_the_status_is_said_in_words(window: Window) -> None:
    window.expect_status("tokens")
    window.expect_status_detail(r"^LongLLaMA, \w")
    label = window.status.get_attribute("aria-label")
    assert label is not None
    assert "$(" not in label
    assert "in memory" in label


def test_ghost_text_is_announced_with_the_way_to_read_it(window: Window) -> None:
    window.focus_end_of_file("The harbour office")
    window.type(LINE)
    expect(window.ghost).to_have_text("PILOTED_TONNES")
    wait_until_announced(window, "PILOTED_TONNES")
    said: list[str] = window.page.evaluate("announced")
    assert any("accessible view" in text and "Alt+F2" in text for text in said), said


def test_the_next_candidate_is_announced(window: Window) -> None:
    forget(window)
    window.press("Alt+]")
    expect(window.ghost).to_have_text("BERTH_METRES")
    wait_until_announced(window, "BERTH_METRES")
    window.press("Alt+[")
    expect(window.ghost).to_have_text("PILOTED_TONNES")


def test_the_accessible_view_has_the_line_with_its_ghost_text(window: Window) -> None:
    window.press(ACCESSIBLE_VIEW)
    view = window.page.locator(".accessible-view")
    expect(view).to_be_visible()
    expect(view).to_contain_text(f"{LINE}PILOTED_TONNES")
    window.picture("accessible-view")
    window.press("Escape")
    expect(view).to_be_hidden()


def test_a_new_suggestion_is_announced(window: Window) -> None:
    forget(window)
    window.focus_end_of_file("The harbour office")
    window.type("PILOTED_TONNES\n\ntotal = ")
    expect(window.ghost).to_have_text("berth_fee")
    wait_until_announced(window, "berth_fee")
