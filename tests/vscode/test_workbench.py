"""The extension in a real VS Code workbench, as a person uses it; each test goes on from the last.

The server is found in the workspace's `.venv`; nothing is configured but its model, `mini`.
"""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.deadline import DEADLINE_S
from tests.vscode.conftest import PICTURES
from tests.vscode.notices import notice, press
from tests.vscode.window import Window

pytestmark = pytest.mark.vscode

TYPED = "from harbour.pilots import MAX_"
SLOWEST_ACTIVATION_MS = 1000
"""The aim is 100 (tests/bench/activation.py); a machine that does other work takes longer."""
WHY, MEMORY = "Why This Suggestion?", "Memory"


def test_activation_is_quick(window: Window) -> None:
    window.expect_status("tokens")
    load, call = window.activation_ms()
    took = f"{load} ms to read the extension's code, {call} ms to activate it\n"
    (PICTURES / "activation.txt").write_text(took)
    assert load + call < SLOWEST_ACTIVATION_MS


def test_a_name_of_another_file_is_suggested_accepted_and_saved(
    window: Window, workspace: Path
) -> None:
    window.expect_status("tokens")
    window.focus_end_of_file("The harbour office")
    window.type(TYPED)
    expect(window.ghost).to_have_text("PILOTED_TONNES")
    window.picture("ghost-text")
    window.press("Tab")
    window.press("Control+s")
    office = workspace / "harbour" / "office.py"
    wanted = f'"""The harbour office."""\n\n{TYPED}PILOTED_TONNES'
    assert eventually(office.read_text, wanted) == wanted


def test_why_lists_the_lines_behind_it_and_opens_them(window: Window) -> None:
    window.run("LongLLaMA: Why This Suggestion?")
    expect(window.row(WHY, "“PILOTED_TONNES”")).to_be_visible()
    source = window.row(WHY, "MAX_PILOTED_TONNES = 120_000")
    expect(source.locator(".label-name")).to_have_text(re.compile(r"^pilots\.py:5\s+\d+ %$"))
    window.picture("why")
    source.click()
    expect(window.page.locator(".tab.active")).to_contain_text("pilots.py")


def test_the_sources_can_be_peeked_at_one_by_one_the_strongest_first(window: Window) -> None:
    """The cursor stands in the weaker file, where VS Code itself would begin."""
    drawn = shares(window)
    strongest, second = sorted(drawn, key=lambda one: one[1], reverse=True)[:2]
    assert strongest[1] > second[1]
    expect(window.page.locator(".tab.active")).not_to_contain_text(strongest[0])
    title = window.page.locator(".peekview-widget .peekview-title")
    for number, (file, share) in enumerate((strongest, second), start=1):
        window.run("LongLLaMA: Peek Sources of the Suggestion")
        said = f"LongLLaMA: source {number} of {len(drawn)}, {share} %"
        expect(window.page.locator(".statusbar-item", has_text=said)).to_be_visible()
        expect(title).to_contain_text(file)
        window.picture(f"peek-{number}")
        window.press("Escape")


def test_memory_shows_files_by_folder_and_follows_the_disk(window: Window, workspace: Path) -> None:
    window.run("LongLLaMA: Show Memory")
    sources = window.page.locator(".pane-header", has_text="Why This Suggestion?")
    sources.click()  # folded, so that all rows of the memory have room
    window.row(MEMORY, "harbour").click()
    expect(window.row(MEMORY, "pilots.py")).to_contain_text("tokens")
    (workspace / "harbour" / "lights.py").write_text("LIGHTS = 3\n")
    (workspace / "chart.py").write_bytes(b"DEPTH = 3\n" * 60_000)
    expect(window.row(MEMORY, "lights.py")).to_contain_text("tokens")
    expect(window.row(MEMORY, "Left out")).to_contain_text("1 file")
    window.row(MEMORY, "chart.py").hover()
    why = window.page.locator(
        ".workbench-hover", has_text="longllama.memory.maxFileBytes (524,288)"
    )
    expect(why).to_contain_text("Its 600,000 bytes are more than")
    window.picture("memory")
    (workspace / "harbour" / "lights.py").unlink()
    expect(window.row(MEMORY, "lights.py")).to_have_count(0)
    sources.click()


def test_clearing_the_disk_tells_how_much_went_and_reads_again(window: Window) -> None:
    window.run("LongLLaMA: Clear What Is Stored on Disk")
    question = window.page.locator(".monaco-dialog-box", has_text="Remove what is stored on disk")
    question.get_by_role("button", name="Remove", exact=True).click()
    cleared = notice(window, "were removed")
    expect(cleared).to_contain_text(
        re.compile(r"[1-9][\d.]* [kM]B were removed. Nothing is stored")
    )
    press(cleared, "Resume")
    window.expect_status("tokens")


def test_a_killed_engine_comes_back(window: Window, workspace: Path) -> None:
    window.expect_status("tokens")
    os.kill(engine_of(workspace).pid, signal.SIGKILL)
    window.expect_status_detail("started again 1 time")
    window.expect_status("tokens")


def test_a_killed_server_comes_back(window: Window, workspace: Path) -> None:
    os.kill(server_of(workspace).pid, signal.SIGKILL)
    window.expect_status("loading")
    window.expect_status("tokens")


def test_the_menu_turns_all_off_and_on_again(window: Window) -> None:
    for word, label in (("off", ": off"), ("on", "tokens")):
        window.status.click()
        window.choose(f"Turn suggestions {word}")
        window.expect_status(label)


def shares(window: Window) -> list[tuple[str, int]]:
    """Files that the suggestion drew on, as listed, each with its share in percent."""
    pane = window.page.locator(".pane", has=window.page.locator(".pane-header", has_text=WHY))
    labels = pane.locator(".label-name")
    found = (re.match(r"(\S+):\d+\s+(\d+)\s%$", text) for text in labels.all_inner_texts())
    return [(match[1], int(match[2])) for match in found if match is not None]


def server_of(workspace: Path) -> psutil.Process:
    """The server that the extension started from the workspace's environment."""
    (server,) = (
        process
        for process in psutil.process_iter(["cmdline"])
        if f"{workspace}/.venv/bin/longllama-lsp" in (process.info["cmdline"] or ())
    )
    return server


def engine_of(workspace: Path) -> psutil.Process:
    """The process of the server's model."""
    (engine,) = (
        child
        for child in server_of(workspace).children()
        if any("engine_process" in word for word in child.cmdline())
    )
    return engine


def eventually(read: Callable[[], str], wanted: str) -> str:
    """What is read, once it is what is wanted, or when time is up."""
    deadline = time.monotonic() + DEADLINE_S
    while (found := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return found
