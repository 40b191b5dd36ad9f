"""A model that is not there: the message says so in words, and its buttons solve it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from longllama_code.model_sources import catalog
from tests.vscode.conftest import PICTURES
from tests.vscode.materials import OFFICE
from tests.vscode.notices import labels, notice, press
from tests.vscode.tools import Tools
from tests.vscode.window import Window, browse
from tests.vscode.workbench import Workbench, workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

GONE = "/models/that-was-moved"
NEVER_FETCHED = "coder-1.5b"


@pytest.fixture(scope="module")
def running(
    vsix: Path, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """A workbench whose settings name a folder that is gone."""
    with workbench(tools, tmp_path_factory.mktemp("wb"), vsix, model=GONE) as found:
        yield found


@pytest.fixture(scope="module")
def window(running: Workbench, workspace: Path) -> Iterator[Window]:
    """A window on the sample workspace."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browse(PICTURES) as opened:
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def expect_one_notice(window: Window) -> None:
    """Nothing is told twice, a moment later neither."""
    window.page.wait_for_timeout(1000)
    expect(window.page.locator(".notification-toast")).to_have_count(1)


def test_a_model_folder_that_is_gone_has_its_remedies_as_buttons(window: Window) -> None:
    failed = notice(window, GONE)
    assert labels(failed) == ["Choose Another", "Retry", "Show Log"]
    expect(failed).not_to_contain_text("longllama models")
    window.expect_status("problem")
    window.picture("model-gone")
    expect_one_notice(window)


def test_who_tries_again_is_told_again(window: Window) -> None:
    press(notice(window, GONE), "Retry")
    expect(window.status).not_to_contain_text("problem")
    window.expect_status("problem")
    notice(window, GONE)
    expect_one_notice(window)


def test_another_model_is_chosen_from_those_that_are_here(window: Window) -> None:
    press(notice(window, GONE), "Choose Another")
    rows = window.page.locator(".quick-input-list .monaco-list-row")
    expect(rows.filter(has_text="mini").first).to_contain_text("on this machine")
    expect(rows.filter(has_text="mini").first).not_to_contain_text("to fetch")
    window.picture("choose-model")
    window.choose("mini")
    window.expect_status("tokens")


def test_a_model_that_was_never_fetched_can_be_fetched(window: Window, running: Workbench) -> None:
    if catalog.is_pulled(NEVER_FETCHED):
        pytest.skip(f"{NEVER_FETCHED} is here")
    settings = running.folder / "data" / "Machine" / "settings.json"
    changed = {**json.loads(settings.read_text()), "longllama.model.path": NEVER_FETCHED}
    settings.write_text(json.dumps(changed))
    failed = notice(window, f"the model {NEVER_FETCHED} is not on this machine")
    assert labels(failed) == ["Fetch the Model", "Choose Another", "Show Log"]
    window.picture("model-not-fetched")
    expect_one_notice(window)


def test_diagnose_works_while_the_server_failed(window: Window) -> None:
    window.run("Notifications: Clear All Notifications")
    window.run("LongLLaMA: Diagnose")
    lines = window.page.locator(".editor-instance .view-lines").last
    expect(lines).to_contain_text("torch")
    window.picture("diagnosis")
