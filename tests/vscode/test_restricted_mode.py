"""Workspace Trust: nothing of an untrusted workspace is run, until the user trusts it."""

from pathlib import Path

import psutil
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.vscode.notices import labels, notice, press
from tests.vscode.window import Window

pytestmark = pytest.mark.vscode

TRUSTING = False


def started_from(workspace: Path) -> list[psutil.Process]:
    """Processes whose program is the workspace's."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(workspace / ".venv") in word for word in process.info["cmdline"] or ())
    ]


def test_the_workspaces_server_waits_for_trust(window: Window, workspace: Path) -> None:
    expect(window.page.locator(".statusbar-item", has_text="Restricted Mode")).to_be_visible()
    window.expect_status("set up")
    assert started_from(workspace) == []
    offer = notice(window, "Trust the folder")
    assert labels(offer) == ["Manage Trust", "Install", "Not Now"]
    window.picture("restricted")
    press(offer, "Manage Trust")
    window.page.get_by_role("button", name="Trust", exact=True).click()
    window.expect_status("tokens")
    assert started_from(workspace) != []
