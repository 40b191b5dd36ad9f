"""A suggestion that a key asked for right after typing is shown, however slow the model is."""

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

SETTINGS = {"longllama.trigger.mode": "manual"}
ANSWERS = [{"before": r"total = b$", "text": "erth_fee", "delay_ms": 1500}]
"""Later than VS Code waits, which is 750 ms from a letter on."""


@pytest.fixture
def window(
    vsix: Path, tools: Tools, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Window]:
    """A window whose answers are slow, and come only if they are asked for."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    script = tmp_path_factory.mktemp("script") / "answers.json"
    script.write_text(json.dumps({"answers": ANSWERS}))
    folder = tmp_path_factory.mktemp("wb")
    with (
        workbench(tools, folder, vsix, model=f"script:{script}", settings=SETTINGS) as running,
        browse(PICTURES) as opened,
    ):
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def test_what_is_asked_for_right_after_typing_is_shown(window: Window) -> None:
    window.expect_status("tokens")
    window.focus_end_of_file("The harbour office")
    for _ in range(3):
        window.type("\ntotal = b")
        window.press("Alt+\\")
        expect(window.ghost).to_have_text("erth_fee")
        window.press("Escape")
        window.page.wait_for_timeout(2000)
        expect(window.ghost).to_have_count(0)
