"""A server that keeps ending: started again four times, then one message in plain words."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.vscode.conftest import PICTURES
from tests.vscode.materials import OFFICE
from tests.vscode.notices import labels, notice, press
from tests.vscode.tools import Tools
from tests.vscode.window import Window, browse
from tests.vscode.workbench import workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

N_ENDS = 5
LONGEST_DELAY_S = 120
"""Backoff, and a start on a machine that does other work."""
PROTOCOLS_WORDS = ("connection", "rejected", "disposed", "client", "Error:")


@pytest.fixture(scope="module")
def window(
    vsix: Path, tools: Tools, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Window]:
    """A window whose engine answers from a script: the server alone matters here."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    answers = tmp_path_factory.mktemp("script") / "answers.json"
    answers.write_text('{"answers": []}')
    folder = tmp_path_factory.mktemp("wb")
    with (
        workbench(tools, folder, vsix, model=f"script:{answers}") as running,
        browse(PICTURES) as opened,
    ):
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened


def next_server(workspace: Path, former: int | None) -> int:
    """The process of the server, once it is another than the former."""
    deadline = time.monotonic() + LONGEST_DELAY_S
    while time.monotonic() < deadline:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or ()
            if f"{workspace}/.venv/bin/longllama-lsp" in words and process.pid != former:
                return process.pid
        time.sleep(0.02)
    raise AssertionError(f"no server was started within {LONGEST_DELAY_S} s")


def test_one_message_in_plain_words_with_restart_and_log(window: Window, workspace: Path) -> None:
    window.expect_status("tokens")
    server = None
    for number in range(N_ENDS):
        server = next_server(workspace, server)
        # Every other time before it has said a word.
        time.sleep(4 * (number % 2))
        os.kill(server, signal.SIGKILL)
    told = notice(window, "The server ended five times in a short time")
    window.page.wait_for_timeout(3000)
    expect(window.page.locator(".notification-toast")).to_have_count(1)
    assert labels(told) == ["Restart", "Show Log"]
    text = told.inner_text()
    assert not [word for word in PROTOCOLS_WORDS if word in text], text
    window.expect_status("problem")
    window.picture("server-ended")


def test_restart_brings_it_back(window: Window) -> None:
    press(notice(window, "The server ended"), "Restart")
    window.expect_status("tokens")
    expect(window.page.locator(".notification-toast")).to_have_count(0)
