"""The server is installed, repaired and diagnosed; each test goes on from the last.

What works goes on, whatever becomes of the new one. The installations are real ones: a Python
environment, and pip with an index that cannot be reached, is silent, or has all.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.vscode.conftest import PICTURES
from tests.vscode.materials import EXTENSION, HARBOUR, OFFICE
from tests.vscode.notices import clipboard, labels, notice, press, text_of_editor
from tests.vscode.package_index import PackageIndex
from tests.vscode.tools import Tools
from tests.vscode.window import Window, browse
from tests.vscode.workbench import Workbench, workbench

pytestmark = [pytest.mark.vscode, pytest.mark.workbench]

REPAIR = "LongLLaMA: Repair the Server"
MODEL = "tiny"
"""Nothing depends on what is suggested."""
WAIT_S = float(os.environ.get("LONGLLAMA_TEST_DEADLINE_S", "120"))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PackageIndex:
    """What pip is given."""
    return PackageIndex(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without a Python environment."""
    root = tmp_path_factory.mktemp("bare")
    shutil.copytree(HARBOUR, root / "harbour", ignore=shutil.ignore_patterns("__pycache__"))
    (root / OFFICE).write_text('"""The harbour office."""\n\n')
    return root


@pytest.fixture(scope="module")
def running(
    vsix: Path, tools: Tools, index: PackageIndex, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """A workbench on a machine without the server."""
    folder = tmp_path_factory.mktemp("wb")
    with workbench(tools, folder, vsix, model=MODEL, environment=index.environment) as found:
        yield found


@pytest.fixture(scope="module")
def window(running: Workbench, bare: Path) -> Iterator[Window]:
    """A window on the workspace."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browse(PICTURES) as opened:
        opened.open(running.url(bare, bare / OFFICE))
        yield opened


def test_the_offer_says_time_and_bytes_and_can_be_put_off(window: Window) -> None:
    offer = notice(window, "LongLLaMA needs its server")
    expect(offer).to_contain_text("about 5 minutes and 1.2 GB of disk")
    assert labels(offer) == ["Install", "Set a Path", "Not Now"]
    window.expect_status("set up")
    window.picture("install-offer")
    press(offer, "Not Now")
    expect(offer).to_be_hidden()


def test_a_path_is_set_where_it_can_be_changed(window: Window) -> None:
    window.run("LongLLaMA: Set the Path of a Server")
    settings = window.page.locator(".settings-editor")
    setting = settings.locator(".setting-item-contents", has_text="Server: Command")
    expect(setting.first).to_be_visible()
    expect(settings).to_contain_text("1 Setting Found")
    remote = window.page.get_by_role("tab", name="Remote")
    expect(remote.first).to_have_attribute("aria-selected", "true")
    window.picture("set-a-path")
    modal = window.page.locator(".monaco-modal-editor-block")  # no key of the palette gets past it
    modal.get_by_role("button", name="Close").last.click()
    expect(settings).to_be_hidden()


def test_the_diagnosis_needs_no_server_and_is_not_to_be_saved(window: Window) -> None:
    window.run("LongLLaMA: Diagnose")
    lines = text_of_editor(window)
    expect(lines).to_contain_text("there is none")
    expect(lines).to_contain_text("longllama.server.command")
    lines.click()
    window.type("x")
    expect(window.page.get_by_text("Cannot edit in read-only editor").first).to_be_visible()
    expect(window.page.locator(".tab.active.dirty")).to_have_count(0)
    window.picture("diagnosis-without-server")
    window.page.get_by_role("button", name="Copy the Diagnosis").first.click()
    assert eventually(lambda: "no longllama-lsp" in clipboard(window))
    assert "longllama.longllama-code" in clipboard(window)
    window.run("View: Close Editor")


def test_without_network_it_fails_with_a_button_that_tries_again(
    window: Window, running: Workbench
) -> None:
    window.run("LongLLaMA: Install the Server")
    failed = notice(window, "the server was not installed")
    expect(failed).to_contain_text("the package index cannot be reached")
    assert labels(failed) == ["Retry", "Set Proxy", "Set a Path", "Copy Diagnosis", "Show Log"]
    window.picture("install-failed")
    window.expect_status("set up")
    assert eventually(lambda: environments(running) == [])
    press(failed, "Retry")
    press(notice(window, "the server was not installed"), "Show Log")
    # Which log is shown; its text needs a native module that this workbench does not have.
    channel = window.page.locator(".part.panel select").first
    shown = "select => select.options[select.selectedIndex].text"
    assert eventually(lambda: channel.evaluate(shown) == "LongLLaMA")
    window.run("View: Hide Panel")


def test_a_server_of_our_own_is_found(window: Window, running: Workbench) -> None:
    folder = running.storage / "e" / "xOldOne"
    folder.mkdir(parents=True)
    (folder / "v").symlink_to(sys.prefix)
    version = json.loads((EXTENSION / "package.json").read_text())["version"]
    (folder / "complete.json").write_text(json.dumps({"version": version, "finished": 1}))
    window.run("LongLLaMA: Restart the Server")
    window.expect_status("tokens")


def test_what_works_is_not_replaced_without_a_question(window: Window) -> None:
    for command in ("LongLLaMA: Install the Server", REPAIR):
        window.run(command)
        question = notice(window, "works")
        assert labels(question)[1:] == ["Not Now"]
        window.picture("install-question")
        press(question, "Not Now")
        expect(question).to_be_hidden()


def test_a_repair_that_fails_leaves_the_old_one_working(window: Window, running: Workbench) -> None:
    before = servers(running)
    window.run(REPAIR)
    press(notice(window, "Build it anew?"), "Repair")
    failed = notice(window, "was not repaired")
    expect(failed).to_contain_text("the one that you have goes on")
    window.picture("repair-failed")
    window.expect_status("tokens")
    assert servers(running) == before
    assert eventually(lambda: environments(running) == ["xOldOne"])
    window.run("Notifications: Clear All Notifications")


def test_a_repair_that_fails_where_the_model_is_gone_says_what_helps(
    window: Window, running: Workbench
) -> None:
    path = running.folder / "data" / "Machine" / "settings.json"
    settings = path.read_text()
    path.write_text(json.dumps({**json.loads(settings), "longllama.model.path": "/models/gone"}))
    window.expect_status("problem")
    window.run("Notifications: Clear All Notifications")
    window.run(REPAIR)
    failed = notice(window, "the server was not repaired")
    expect(failed).to_contain_text(
        "The one that you have stays as it was: '/models/gone' is neither"
    )
    expect(failed).not_to_contain_text("that you have.")
    assert labels(failed) == ["Choose Another", "Retry", "Set Proxy", "Show Log"]
    expect(window.page.locator(".notification-toast")).to_have_count(1)
    window.picture("repair-failed-model-gone")
    path.write_text(settings)
    window.expect_status("tokens")
    window.run("Notifications: Clear All Notifications")


def test_a_repair_that_is_cancelled_leaves_the_old_one_working(
    window: Window, running: Workbench, index: PackageIndex
) -> None:
    before = servers(running)
    with index.silent() as silent:
        window.run(REPAIR)
        press(notice(window, "Build it anew?"), "Repair")
        silent.wait_until_asked()
        window.picture("repair-running")
        press(notice(window, "Installing the server"), "Cancel")
        expect(notice(window, "it was cancelled")).to_be_visible()
    window.expect_status("tokens")
    assert servers(running) == before
    assert eventually(lambda: environments(running) == ["xOldOne"])
    assert eventually(lambda: not started_from(running.storage / "e", but="xOldOne"))
    window.run("Notifications: Clear All Notifications")


def test_a_repair_that_works_takes_the_place_of_the_old_one(
    window: Window, running: Workbench, index: PackageIndex
) -> None:
    index.has_all()
    window.run(REPAIR)
    press(notice(window, "Build it anew?"), "Repair")
    notice(window, "Installing the server")
    assert eventually(lambda: len(environments(running)) == 1 and not has(running, "xOldOne"))
    window.expect_status("tokens")
    (new,) = environments(running)
    assert eventually(lambda: bool(started_from(running.storage / "e" / new)))
    window.picture("repaired")
    assert (Path(sys.prefix) / "pyvenv.cfg").is_file()  # a link is removed, never its target


def environments(running: Workbench) -> list[str]:
    """Names of our environments, finished or not."""
    return sorted(path.name for path in (running.storage / "e").glob("*"))


def has(running: Workbench, name: str) -> bool:
    """Whether an environment is there, or was only renamed."""
    return any(name in found for found in environments(running))


def servers(running: Workbench) -> list[int]:
    """Processes that run from the environment that works."""
    return sorted(one.pid for one in started_from(running.storage / "e" / "xOldOne"))


def started_from(folder: Path, but: str = "\0") -> list[psutil.Process]:
    """Processes whose program is in a folder, but not in the part of it that is named."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline"]):
        words = [word for word in process.info["cmdline"] or () if str(folder) in word]
        if any(but not in word for word in words):
            found.append(process)
    return found


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something holds before time is up."""
    deadline = time.monotonic() + WAIT_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()
