"""copilot.lua in a real Neovim, in a terminal, by keys alone: only its server is ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.checkouts import checkout
from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import ENTER, ESCAPE, TAB, TerminalScreen, running
from tests.e2e.test_neovim import neovim

INIT = """
vim.opt.runtimepath:append({plugin})
require("copilot").setup({{
  server = {{ type = "binary", custom_server_filepath = "longllama-lsp" }},
  server_opts_overrides = {{
    init_options = {{ longllama = {{ model = {{ path = {model} }}, engine = {{ idleMs = 0 }} }} }},
  }},
  suggestion = {{
    auto_trigger = true,
    keymap = {{
      accept = "<Tab>", accept_word = "<M-w>", accept_line = "<M-l>",
      next = "<M-n>", prev = "<M-p>", dismiss = "<C-g>",
    }},
  }},
}})
vim.opt.statusline = "at %l,%c"
vim.opt.laststatus = 2
"""
FIRST_LINE = "def f(x):\n"
ALT_W, ALT_L, ALT_N, ALT_P, ALT_ENTER = (f"{ESCAPE}{key}" for key in ("w", "l", "n", "p", "\r"))
CONTROL_G = "\x07"


@contextmanager
def editing(server: RecordedServer, folder: Path) -> Iterator[TerminalScreen]:
    """Neovim with copilot.lua on the server's file, once the server is ready."""
    plugin = checkout("copilot.lua", "lua/copilot/init.lua")
    init = folder / "init.lua"
    init.write_text(INIT.format(plugin=json.dumps(str(plugin)), model=json.dumps(server.model)))
    start = [neovim(), "--clean", "-n", "-u", str(init), str(server.file)]
    with running(start, server.root, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.expect("at 1,1")
        yield screen


def save(server: RecordedServer, screen: TerminalScreen, text: str) -> None:
    """Save the file, which must then be this text."""
    screen.type(f"{ESCAPE}:w{ENTER}")
    screen.wait(lambda: server.saved == text, "the file is another")


def test_ghost_text_is_shown_and_accepted(tmp_path: Path) -> None:
    text = "return x * 2\n    # é more"
    server = RecordedServer(tmp_path, FIRST_LINE, [{"before": "\n    ", "text": text}])
    with editing(server, tmp_path) as screen:
        screen.type("o")
        screen.expect("    return x * 2\n    # é more\n")
        screen.expect("at 2,5")
        screen.type(TAB)
        screen.expect("at 3,14")
        save(server, screen, f"{FIRST_LINE}    {text}\n")
    assert server.replay() == []


def test_a_word_and_a_line_are_accepted(tmp_path: Path) -> None:
    """Behind characters of two units, and of two bytes."""
    line = "    s = '\U0001f40dé"
    text = "' + more(x)\n    return s"
    server = RecordedServer(tmp_path, FIRST_LINE, [{"before": "é", "text": text}])
    with editing(server, tmp_path) as screen:
        screen.type("os = '\U0001f40dé")
        screen.expect(f"{line}' + more(x)\n    return s\n")
        screen.type(ALT_W)  # to copilot.lua, a word is what follows blanks and marks
        screen.expect("at 2,18")
        screen.type(ALT_L)
        screen.expect("at 3,5")
        save(server, screen, f"{FIRST_LINE}{line}' + more(x)\n    \n")
    assert server.replay() == []


def test_alternatives_are_shown_in_turn(tmp_path: Path) -> None:
    answer = {"before": "\n    ", "text": "return one", "alternatives": ["return two"]}
    server = RecordedServer(tmp_path, FIRST_LINE, [answer])
    with editing(server, tmp_path) as screen:
        screen.type("o")
        screen.expect("    return one\n")
        screen.type(ALT_N)
        screen.expect("    return two (2/2)\n")
        screen.type(ALT_N)
        screen.expect("    return one (1/2)\n")
        screen.type(ALT_P)
        screen.expect("    return two (2/2)\n")
        screen.type(TAB)
        screen.expect("at 2,15")
        save(server, screen, f"{FIRST_LINE}    return two\n")
    assert server.replay() == []


def test_what_the_editor_closed_is_replaced(tmp_path: Path) -> None:
    answers = [{"before": r"isinstance\(x, Usage\Z", "text": "Error) or x:"}]
    server = RecordedServer(tmp_path, FIRST_LINE, answers)
    with editing(server, tmp_path) as screen:
        screen.type(f":inoremap ( ()<Left>{ENTER}oif isinstance(x, Usage")
        screen.expect("if isinstance(x, UsageError) or x:")
        screen.type(TAB)
        screen.expect("at 2,39")
        save(server, screen, f"{FIRST_LINE}    if isinstance(x, UsageError) or x:\n")
    assert server.replay() == []


def test_what_is_dismissed_is_gone(tmp_path: Path) -> None:
    server = RecordedServer(tmp_path, FIRST_LINE, [{"before": "\n    ", "text": "return x"}])
    with editing(server, tmp_path) as screen:
        screen.type("o")
        screen.expect("    return x\n")
        screen.type(CONTROL_G)
        screen.wait(lambda: "return" not in screen.text, "it is still shown")
    assert server.replay() == []


def test_a_panel_has_all_and_one_is_taken(tmp_path: Path) -> None:
    answer = {"before": "x = ", "text": "one()", "alternatives": ["two()"]}
    server = RecordedServer(tmp_path, "x = \n", [answer])
    with editing(server, tmp_path) as screen:
        screen.type(f":Copilot panel{ENTER}")
        screen.expect("2/2 solutions")
        screen.expect("one()")
        screen.type("/two\r\r")
        save(server, screen, "x = two()\n")
    assert server.replay() == []
