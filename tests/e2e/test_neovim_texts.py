"""Candidates in turn, and texts of all widths and directions, in a real Neovim by its keys."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import (
    ALT_DOWN,
    ALT_RIGHT,
    ENTER,
    ESCAPE,
    TAB,
    TerminalScreen,
    running,
)
from tests.e2e.test_neovim import CLIENT, INIT, neovim

ALT_N, ALT_P = f"{ESCAPE}n", f"{ESCAPE}p"
BEFORE = "\ts = '\u65e5\u672c\U0001f40de\u0301"
"""A tab, wide characters, one of two UTF-16 units, and one of two code points."""
GHOST = "\u0639\u0631\u0628\u064a' +\tt\n\t# \u5f8c\tz\n\tdone"
"""From right to left; and tabs, the last behind a wide character."""


@contextmanager
def editing(server: RecordedServer, folder: Path) -> Iterator[TerminalScreen]:
    """Neovim on the server's file, once the server is ready; it puts nothing in by itself."""
    init = folder / "init.lua"
    settings = {"client": json.dumps(str(CLIENT)), "model": json.dumps(server.model)}
    own = 'vim.cmd("autocmd FileType * set noexpandtab tabstop=4 indentexpr= noautoindent")\n'
    init.write_text(INIT.format(**settings) + own)
    start = [neovim(), "--clean", "-n", "-u", str(init), str(server.file)]
    with running(start, server.root, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        yield screen


def save(server: RecordedServer, screen: TerminalScreen, text: str) -> None:
    """Save the file, which must then be this text."""
    screen.type(f"{ESCAPE}:w{ENTER}")
    screen.wait(lambda: server.saved == text, "the file is another")


def lines_of(screen: TerminalScreen) -> list[str]:
    """The lines of the file, as they are drawn."""
    return screen.text.splitlines()[1:4]


def test_ghost_text_looks_as_what_is_accepted(tmp_path: Path) -> None:
    """The tab before it is typed by the key that accepts, and stays where it was typed."""
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "e\u0301", "text": GHOST}])
    with editing(server, tmp_path) as screen:
        screen.type(f"o{BEFORE}")
        screen.expect("done")
        screen.expect("at 2,")
        shown = lines_of(screen)
        assert shown[2] == "    done"
        screen.type(TAB)
        screen.expect("at 4,6")
        screen.wait(lambda: lines_of(screen) == shown, f"it looks otherwise than {shown}")
        save(server, screen, f"def f(x):\n{BEFORE}{GHOST}\n")
    assert server.replay() == []


def test_parts_of_such_texts_are_accepted(tmp_path: Path) -> None:
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "e\u0301", "text": GHOST}])
    with editing(server, tmp_path) as screen:
        screen.type(f"o{BEFORE}")
        screen.expect("done")
        shown = lines_of(screen)
        screen.type(ALT_RIGHT)
        screen.wait(lambda: "at 2,28" in screen.text, "a word is something else")
        screen.wait(lambda: lines_of(screen) == shown, f"it looks otherwise than {shown}")
        screen.type(ALT_DOWN)
        screen.expect("at 3,1")
        screen.wait(lambda: lines_of(screen) == shown, f"it looks otherwise than {shown}")
        first = GHOST.splitlines()[0]
        save(server, screen, f"def f(x):\n{BEFORE}{first}\n\n")
    assert server.replay() == []


def test_candidates_are_shown_in_turn(tmp_path: Path) -> None:
    answer = {"before": "x = ", "text": "one()", "alternatives": ["two()"]}
    server = RecordedServer(tmp_path, "def f(x):\n", [answer])
    with editing(server, tmp_path) as screen:
        screen.type("ox = ")
        screen.expect("x = one()")
        screen.type(ALT_N)
        screen.expect("x = two()")
        screen.type(ALT_N)
        screen.expect("x = one()")
        screen.type(ALT_P)
        screen.expect("x = two()")
        screen.type(TAB)
        save(server, screen, "def f(x):\nx = two()\n")
    assert server.replay() == []
