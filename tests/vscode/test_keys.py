"""The keys that the extension contributes: each does what it says, and takes no place of others."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.vscode.conftest import MODEL, PICTURES
from tests.vscode.materials import EXTENSION, OFFICE
from tests.vscode.notices import clipboard
from tests.vscode.tools import Tools
from tests.vscode.window import Window, beside, browse
from tests.vscode.workbench import Workbench, workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

Binding = dict[str, str]
SYSTEMS = {
    "linux": "X11; Linux x86_64",
    "windows": "Windows NT 10.0; Win64; x64",
    "mac": "Macintosh; Intel Mac OS X 10_15_7",
}
AGENT = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
MANUAL = {"longllama.trigger.mode": "manual"}
ASK = "Alt+\\"


@pytest.fixture(scope="module")
def running(
    vsix: Path, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """A workbench in which nothing is suggested unasked."""
    folder = tmp_path_factory.mktemp("wb")
    with workbench(tools, folder, vsix, model=MODEL, settings=MANUAL) as found:
        yield found


@pytest.fixture(scope="module")
def window(running: Workbench, workspace: Path) -> Iterator[Window]:
    """A window on the sample workspace."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browse(PICTURES) as opened:
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def test_a_key_asks_where_nothing_is_suggested_unasked(window: Window) -> None:
    window.expect_status("tokens")
    window.focus_end_of_file("The harbour office")
    window.type("from harbour.pilots import MAX_")
    window.page.wait_for_timeout(1500)
    expect(window.ghost).to_have_count(0)
    window.press(ASK)
    expect(window.ghost).to_have_text("PILOTED_TONNES")
    window.picture("key-ask")


def test_a_key_shows_the_next_candidate_and_one_the_former(window: Window) -> None:
    window.press("Escape")
    window.type("PILOTED_TONNES\n\n\ndef berth_of(")
    window.press(ASK)
    expect(window.ghost).not_to_be_empty()
    first = window.ghost.inner_text()
    window.press("Alt+]")
    expect(window.ghost).not_to_have_text(first)
    window.picture("key-next")
    window.press("Alt+[")
    expect(window.ghost).to_have_text(first)


def test_a_key_accepts_a_word_and_one_the_line(window: Window) -> None:
    window.press("Escape")
    window.press("Control+End")
    window.type("\n\nfrom harbour.pilots import MAX_")
    window.press(ASK)
    expect(window.ghost).to_have_text("PILOTED_TONNES")
    line = window.page.locator(".view-line", has_text="MAX_").last
    window.press("Control+ArrowRight")
    expect(line).to_contain_text("MAX_PILOTED")
    window.press("Escape")
    window.type("\nfrom harbour.pilots import MAX_")
    window.press(ASK)
    expect(window.ghost).to_have_text("PILOTED_TONNES")
    window.press("Alt+End")
    expect(window.page.locator(".ghost-text-decoration")).to_have_count(0)
    expect(window.page.locator(".view-line", has_text="MAX_").last).to_contain_text(
        "MAX_PILOTED_TONNES"
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_key_is_bound_by_default(
    window: Window, running: Workbench, workspace: Path, system: str
) -> None:
    """The workbench's own list, as this system has it: our keys are free, or bound to the same."""
    with beside(window, AGENT.format(SYSTEMS[system])) as opened:
        opened.open(running.url(workspace, workspace / OFFICE))
        opened.page.locator(".activitybar [aria-label*=LongLLaMA]").first.wait_for()
        bindings = default_bindings(opened, "Meta" if system == "mac" else "Control")
    assert len(bindings) > 500
    conflicts = [
        (key, other)
        for key, command in contributed(system).items()
        for other in bindings
        if other["key"] == key and other["command"] != command
        if not is_apart(other) and not is_vs_codes(key, command, bindings)
    ]
    assert conflicts == []


def contributed(system: str) -> dict[str, str]:
    """Our keys to their commands."""
    manifest = json.loads((EXTENSION / "package.json").read_text())
    found: list[dict[str, Any]] = manifest["contributes"]["keybindings"]
    return {one.get(system, one["key"]): one["command"] for one in found}


def is_apart(binding: Binding) -> bool:
    """Whether a binding never holds while the text of an editor has the focus."""
    return any(part in binding.get("when", "") for part in ("listFocus", "accessibleViewIsShown"))


def is_vs_codes(key: str, command: str, bindings: list[Binding]) -> bool:
    """Whether VS Code has the same binding beside ours, so that ours takes nothing from it."""
    return sum(one["key"] == key and one["command"] == command for one in bindings) > 1


def default_bindings(window: Window, control: str) -> list[Binding]:
    """The default key bindings, with those of extensions, as the workbench lists them."""
    window.run("Preferences: Open Default Keyboard Shortcuts (JSON)")
    expect(window.page.locator(".tab.active")).to_contain_text("Default Keybindings")
    window.page.locator(".editor-instance .view-lines").last.click()
    window.press(f"{control}+a")
    window.press(f"{control}+c")
    lines = clipboard(window).splitlines()
    return json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
